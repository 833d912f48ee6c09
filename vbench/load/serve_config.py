"""The applications of ``workload=app``: the one of ``app.import_path``, or those of Serve's config file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from ray import serve
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema

from vbench.config.app import app_of
from vbench.config.schema import Config
from vbench.config.serve_file import Key, ServeFile, read_serve_file
from vbench.errors import InputError
from vbench.load.application import NAME, load_application


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedApplication:
    """One application as its code makes it, before the overrides of a config file."""

    name: str
    """In Serve."""
    key: str
    """What it was asked for by: ``app.import_path=main:app``."""
    application: serve.Application
    overrides: Mapping[str, Mapping[str, Any]]
    """Deployment -> its options in the config file."""


def load_applications(config: Config) -> list[LoadedApplication]:
    """The applications as they would be deployed; InputError if one cannot be had."""
    app = app_of(config)
    if app.config is None:
        key = f"app.import_path={app.import_path}"
        return [LoadedApplication(name=NAME, key=key, application=load_application(config), overrides={})]
    file = read_serve_file(app.config)
    applications = deploy_schema(file).applications
    return [_loaded(config, file, number, one) for number, one in enumerate(applications)]


def _loaded(config: Config, file: ServeFile, number: int, one: ServeApplicationSchema) -> LoadedApplication:
    key = file.at(("applications", number, "import_path"))
    module, _, name = one.import_path.replace(":", ".").rpartition(".")
    app = replace(app_of(config), import_path=f"{module}:{name}", args=one.args, config=None)
    if ":" in one.import_path:
        app = replace(app, import_path=one.import_path)
    try:
        application = load_application(replace(config, app=app))
    except InputError as error:
        what = str(error).removeprefix("app.")
        raise InputError(f"{file.at(('applications', number))}.{what}") from error
    overrides = {part.name: part.model_dump(exclude_unset=True) for part in one.deployments}
    return LoadedApplication(name=one.name, key=key, application=application, overrides=overrides)


def deploy_schema(file: ServeFile) -> ServeDeploySchema:
    """The file as Serve reads it; InputError that names the line of the first value that Serve refuses."""
    try:
        return ServeDeploySchema.model_validate(file.data)
    except ValidationError as error:
        first = error.errors()[0]
        key: Key = first["loc"]
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise InputError(f"{file.at(key)}: {reason}.") from error


def unused_keys(file: ServeFile) -> str | None:
    """What a trial replaces of a config file, in a sentence for the user; None if nothing."""
    options = file.data.get("http_options")
    given = [
        f"http_options.{name}" for name in ("host", "port") if isinstance(options, dict) and name in options
    ]
    if file.data.get("proxy_location") not in (None, "HeadOnly"):
        given.append("proxy_location")
    if isinstance(file.data.get("grpc_options"), dict):
        given.append("grpc_options")
    if not given:
        return None
    return (
        f"of {file.name}, {', '.join(given)} are not used: a trial has one HTTP proxy, on the head, at an"
        f" address of its own"
    )
