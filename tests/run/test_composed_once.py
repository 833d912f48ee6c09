"""Each configuration is composed and validated once: what is checked is what runs."""

from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from vbench.config.checkout import CONF
from vbench.config.schema import Config
from vbench.run import typed_config
from vbench.run.session import run


def count_compositions(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Has an item for each configuration that Hydra composes from now on, by whatever interface."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        loader: Any = type(GlobalHydra.instance().config_loader())
    load = loader.load_configuration
    composed: list[object] = []

    def noted(*arguments: Any, **options: Any) -> Any:
        composed.append(options["overrides"])
        return load(*arguments, **options)

    monkeypatch.setattr(loader, "load_configuration", noted)
    return composed


def count_validations(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """Has an item for each configuration that is validated from now on."""
    validate = typed_config.problems
    validated: list[Config] = []

    def noted(config: Config, **options: Any) -> list[str]:
        validated.append(config)
        return validate(config, **options)

    monkeypatch.setattr(typed_config, "problems", noted)
    return validated


@pytest.mark.parametrize(
    ("arguments", "arms", "blocks"),
    [
        (["load.requests=4"], 1, [0]),
        (["--multirun", "mode=chunked,combined", "blocks=2"], 2, [0, 0, 1, 1]),
    ],
)
def test_an_arm_is_composed_and_validated_once_however_many_trials_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], arms: int, blocks: list[int]
) -> None:
    monkeypatch.chdir(tmp_path)
    composed, validated = count_compositions(monkeypatch), count_validations(monkeypatch)
    # The trials start, and end when their load processes find no video.
    status = run([*arguments, "video=file", "video.path=nowhere.mp4", "tracking=off"])
    assert status == 2
    assert (len(composed), len(validated)) == (arms, arms)
    kept = tmp_path.glob("outputs/**/.hydra/config.yaml")
    assert sorted(OmegaConf.load(path).block for path in kept) == blocks


def test_a_configuration_that_is_shown_is_composed_and_validated_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    composed, validated = count_compositions(monkeypatch), count_validations(monkeypatch)
    assert run(["--cfg", "job", "load.requests=8"]) == 0
    assert (len(composed), len(validated)) == (1, 1)
    assert "requests: 8" in capsys.readouterr().out
