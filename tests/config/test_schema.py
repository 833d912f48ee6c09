"""The sections of a configuration that the service has a part in are the service's own settings."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest

from vbench.config.schema import Config, DeploymentsConfig, PipelineConfig
from vbench.load.pipeline_args import pipeline_args
from vbench.models.settings import ModelSettings
from vbench.pipeline.config import DeploymentArgs, ModelArgs, PipelineArgs
from vbench.pipeline.settings import DeploymentSettings, PipelineSettings
from vbench.record.fingerprint import fingerprint
from vbench.run.compose import compose_configs
from vbench.video.scenes.settings import SceneOptions, SceneSettings

FINGERPRINTS = json.loads((Path(__file__).parent / "fingerprints.json").read_text())
"""Overrides -> fingerprint of the configuration in records since schema version 2."""


def names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("section", "settings", "arguments"),
    [
        (ModelSettings, ModelSettings, ModelArgs),
        (PipelineConfig, PipelineSettings, PipelineArgs),
        (DeploymentSettings, DeploymentSettings, DeploymentArgs),
    ],
)
def test_every_field_of_a_section_is_a_field_of_the_services_settings_and_arguments(
    section: Any, settings: Any, arguments: Any
) -> None:
    assert names(section) - {"name"} == names(settings) - {"name"}
    assert names(settings) <= set(arguments.model_fields)


def test_every_field_of_a_scene_is_one_of_the_renderers() -> None:
    assert names(SceneOptions) < names(SceneSettings)


def test_the_sections_are_of_these_classes() -> None:
    config = compose_configs([], multirun=False)[0]

    assert type(config.model) is ModelSettings
    assert type(config.pipeline) is PipelineConfig
    assert type(config.video.scene) is SceneOptions
    assert {type(getattr(config.cluster.deployments, name)) for name in names(DeploymentsConfig)} == {
        DeploymentSettings
    }


@pytest.mark.parametrize("overrides", FINGERPRINTS)
def test_each_option_has_the_fingerprint_that_its_records_have(overrides: str) -> None:
    (config,) = compose_configs(overrides.split(), multirun=False)

    assert fingerprint(asdict(config)) == FINGERPRINTS[overrides]


def changed(value: Any) -> Any:
    """Another value of the same type; the checks of the arguments do not run on it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}-x" if isinstance(value, str) else value


def different(config: Config, section: str) -> Mapping[str, Any]:
    """The values of a section that can be changed without a choice among words."""
    values = asdict(getattr(config, section))
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


@pytest.mark.parametrize("section", ["model", "pipeline"])
def test_a_value_of_a_section_arrives_in_the_arguments_of_the_service(section: str) -> None:
    base = compose_configs(["mode=chunked"], multirun=False)[0]
    for name, value in different(base, section).items():
        given = 0.5 if name == "score_threshold" else changed(value)
        (config,) = compose_configs([f"{section}.{name}={str(given).lower()}"], multirun=False)
        args = pipeline_args(config)
        arrived = getattr(args.model if section == "model" else args, name)
        assert arrived == given, name
