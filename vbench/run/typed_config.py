"""From a composed configuration to validated dataclasses."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vbench.clusters.attached.validate import is_discovered
from vbench.config.cluster_shape import shape_problems, shaped
from vbench.config.schema import MISSING, AppConfig, Config
from vbench.errors import ConfigError
from vbench.load.pipeline_args import pipeline_args
from vbench.run.overrides import expand_home
from vbench.run.refusals import sentence
from vbench.run.validate import problems


def typed(composed: DictConfig, *, deploys: bool = True) -> Config:
    """The configuration as dataclasses, validated; ConfigError if a value is missing or not allowed.

    ``deploys``: whether anything is deployed, for which the nodes must have room.
    """
    try:
        value = Config(**{item.name: _plain(composed, item.name) for item in fields(Config)})
    except OmegaConfBaseException as error:
        raise ConfigError(sentence(error, [], lambda _: False)) from error
    if isinstance(value.blocks, str) and value.blocks.isdecimal():
        value = replace(value, blocks=int(value.blocks))
    if wrong := list(misshapen(value)):
        raise ConfigError(" ".join(wrong))
    if wrong := list(shape_problems(value.cluster)):
        raise ConfigError(" ".join(wrong))
    value = _with_home_expanded(replace(value, cluster=shaped(value.cluster)))
    if wrong := problems(value, deploys=deploys):
        raise ConfigError(" ".join(wrong))
    pipeline_args(_as_if_placed(value))
    return value


def _as_if_placed(config: Config) -> Config:
    """With the GPU that the model gets as soon as the nodes of its cluster are known."""
    if not is_discovered(config.cluster) or config.cluster.deployments.inference.gpus:
        return config
    deployments = config.cluster.deployments
    deployments = replace(deployments, inference=replace(deployments.inference, gpus=1))
    return replace(config, cluster=replace(config.cluster, deployments=deployments))


def _plain(composed: DictConfig, name: str) -> Any:
    value = composed[name]
    return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value


def _with_home_expanded(config: Config) -> Config:
    """With every ``~`` of a path replaced by the home folder, also that of an option file."""
    video, model = config.video, config.model
    if video.path not in (None, MISSING):
        video = replace(video, path=expand_home("video.path", video.path))
    if model.weights != MISSING:
        model = replace(model, weights=expand_home("model.weights", model.weights))
    outputs = expand_home("outputs", config.outputs)
    return replace(config, outputs=outputs, video=video, model=model, app=_app(config.app))


def _app(app: AppConfig | None) -> AppConfig | None:
    """With the home folder written out, and files of the application looked for in its folder."""
    if app is None:
        return None
    folder = expand_home("app.working_dir", app.working_dir)
    files: dict[str, Any] = {
        name: str(Path(folder) / expand_home(f"app.{name}", path))
        for name, path in (("requests", app.requests), ("config", app.config))
        if path is not None
    }
    return replace(app, working_dir=folder, **files)


def misshapen(node: Any, prefix: str = "") -> Iterator[str]:
    """A sentence for each part of a dataclass that an interpolation has replaced by something else, which
    OmegaConf does not check."""
    hints = get_type_hints(type(node))
    for item in fields(node):
        yield from _misshapen_part(getattr(node, item.name), hints[item.name], f"{prefix}{item.name}")


def _is_section(hint: Any) -> bool:
    return is_dataclass(hint) or get_origin(hint) is dict


def _misshapen_part(value: Any, hint: Any, key: str) -> Iterator[str]:
    if get_origin(hint) is list:
        for number, part in enumerate(value if isinstance(value, list) else []):
            yield from _misshapen_part(part, get_args(hint)[0], f"{key}[{number}]")
        return
    alternatives = get_args(hint) if get_origin(hint) is not dict else ()
    wanted = next(filter(_is_section, (hint, *alternatives)), None)
    if value is None or wanted is None:
        return
    is_dict = get_origin(wanted) is dict
    if not isinstance(value, dict if is_dict else wanted):
        yield f"{key} is a section: set its keys one by one, not the section as a whole."
    elif is_dict:
        for name, part in value.items():
            yield from _misshapen_part(part, get_args(wanted)[1], f"{key}.{name}")
    else:
        yield from misshapen(value, f"{key}.")
