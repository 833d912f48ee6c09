"""Imports the application of ``workload=app``, or calls the function that builds it."""

import importlib
import inspect
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xxhash
from pydantic import BaseModel, ValidationError
from ray import serve

from vbench.clusters.attached.validate import ATTACHED
from vbench.config.app import app_of, working_dir
from vbench.config.schema import Config
from vbench.errors import InputError, nearest
from vbench.load.app_files import app_files
from vbench.load.user_code import raised, without_cluster

NAME = "app"
"""The application's name in Serve."""


def load_application(config: Config) -> serve.Application:
    """The application that ``app.import_path`` names; InputError if it cannot be had."""
    app = app_of(config)
    assert app.import_path is not None, "validated"
    key = f"app.import_path={app.import_path}"
    found = import_name(config, app.import_path, key)
    if isinstance(found, serve.Application):
        if app.args:
            raise InputError(
                f"app.args is for a function that builds the application, and {key} is one already: leave"
                f" app.args out."
            )
        return found
    if isinstance(found, serve.Deployment) or not callable(found):
        kind = "a deployment" if isinstance(found, serve.Deployment) else f"of type {type(found).__name__}"
        raise InputError(
            f"{key} is {kind} and no application: name what its .bind() returns, or a function that"
            f" returns that."
        )
    with without_cluster(key):
        built = _built(found, dict(app.args), key, config)
    if not isinstance(built, serve.Application):
        raise InputError(
            f"{key} returned {type(built).__name__} and no application: return what .bind() returns."
        )
    return built


def import_name(config: Config, path: str, key: str) -> Any:
    """What MODULE:NAME names, imported from ``app.working_dir``; InputError that begins with ``key``."""
    folder = str(working_dir(config))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_name, _, name = path.partition(":")
    try:
        with without_cluster(key):
            found: Any = importlib.import_module(module_name)
    except InputError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(
                f"{key}: there is no module '{error.name}' in {folder}: correct the name, or give the folder"
                f" that it is in as app.working_dir."
            ) from error
        raise InputError(
            f"{key}: {module_name} imports '{error.name}', which is not installed"
            f" {_where_to_install(config)}."
        ) from error
    except Exception as error:
        raise InputError(
            f"{key}: {module_name} cannot be imported: {raised(error, Path(folder))}."
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [other for other in vars(found) if not other.startswith("_")]
            raise InputError(f"{key}: {module_name} has no '{part}'; {nearest(part, public)}.")
        found = getattr(found, part)
    return found


def _where_to_install(config: Config) -> str:
    """Where a module is missing, and what to do about it."""
    if config.cluster.name == ATTACHED:
        return (
            "on the nodes of the cluster: install the application's requirements there, or name them in"
            " requirements.txt in app.working_dir and add cluster.dependencies=pip"
        )
    return (
        f"here: install the application's requirements into the environment of vbench ({sys.executable} -m"
        f" pip install ...)"
    )


def _built(builder: Callable[..., Any], args: dict[str, Any], key: str, config: Config) -> Any:
    """What the builder returns for ``app.args``, which it takes as Serve passes them: a dict or a model of
    pydantic as its only parameter, or none."""
    try:
        parameters = list(inspect.signature(builder).parameters.values())
        if len(parameters) > 1 or (args and not parameters):
            raise InputError(
                f"{key} takes {len(parameters)} parameters: Serve's builders take one, with app.args"
                f"{' (leave app.args out)' if not parameters else ''}."
            )
        if not parameters:
            return builder()
        hint = typing.get_type_hints(builder).get(parameters[0].name)
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return builder(hint.model_validate(args))
        return builder(args)
    except InputError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise InputError(f"app.args.{name}: {first['msg']}, as {key} says.") from error
    except Exception as error:
        folder = working_dir(config)
        assert folder is not None
        raise InputError(f"{key} raised {raised(error, folder)}.") from error


def code_digest(folder: Path) -> str:
    """Of all Python files below a folder, with their names; hidden folders and environments left out."""
    digest = xxhash.xxh3_128()
    for path in app_files(folder):
        if path.suffix == ".py":
            digest.update(f"{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
