"""Serve's config file of ``workload=app``: read, and refused where a trial could not honour it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vbench.errors import ConfigError

Key = tuple[str | int, ...]
"""The way to a value: names of keys, and numbers of list items from 0."""

ENV_VARS = "env_vars"

NOT_HONOURED: Mapping[str, str] = {
    "controller_options": "set variables of all Ray processes with runtime.env.NAME=VALUE",
    "tracing_config": "vbench itself uses Serve's traces, to time deployments",
}
"""Key of the file -> what to do instead, or why."""

OF_TLS = "ssl_"
"""Start of the HTTP options for encryption."""

OTHER_CODE = ("working_dir", "py_modules")
"""Keys of a runtime_env that bring code."""


@dataclass(frozen=True, slots=True)
class ServeFile:
    """A file as Serve would read it, and where its keys are."""

    name: str
    """The file as it was given, for messages: ``app.config=serve.yaml``."""
    text: str
    data: Mapping[str, Any]
    lines: Mapping[Key, int]
    """Key -> its line, from 1."""

    def at(self, key: Key) -> str:
        """The start of a message: ``line 7 of app.config=serve.yaml: applications.0.import_path``."""
        known = next((key[:length] for length in range(len(key), -1, -1) if key[:length] in self.lines), ())
        name = ".".join(map(str, key))
        return f"line {self.lines.get(known, 1)} of {self.name}{f': {name}' if name else ''}"


def read_serve_file(path: str) -> ServeFile:
    """The file; ConfigError that names the line if it is none of Serve's, or has what no trial can honour."""
    name = f"app.config={path}"
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(
            f"{name} is no text: give Serve's config file, such as 'serve build' makes."
        ) from error
    try:
        data = yaml.safe_load(text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        raise ConfigError(
            f"line {mark.line + 1 if mark else 1} of {name} is no YAML: {' '.join(what.split())}."
        ) from error
    applications = data.get("applications") if isinstance(data, dict) else None
    if not (isinstance(applications, list) and applications):
        raise ConfigError(
            f"{name} has no list of applications: give Serve's config file, such as 'serve build' makes, or a"
            f" module with app.import_path=MODULE:NAME."
        )
    file = ServeFile(name, text, data, dict(_lines(tree, ())))
    for problem in _problems(file):
        raise ConfigError(problem)
    return file


def _lines(node: Any, key: Key) -> Iterator[tuple[Key, int]]:
    """The line of each key below a node of YAML."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield (*key, name.value), name.start_mark.line + 1
            yield from _lines(value, (*key, name.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*key, number), value.start_mark.line + 1
            yield from _lines(value, (*key, number))


def _problems(file: ServeFile) -> Iterator[str]:
    """One sentence for each part that a trial cannot honour."""
    data = file.data
    if data.get("proxy_location") == "Disabled":
        yield f"{file.at(('proxy_location',))} Disabled leaves no proxy to send requests to: use HeadOnly."
    for option, value in _mapping(data.get("http_options")).items():
        if option == "request_timeout_s" and value is not None:
            yield (
                f"{file.at(('http_options', option))} is the load's: leave it out, and give"
                f" load.timeout_s={value}."
            )
        elif option.startswith(OF_TLS) and value is not None:
            yield f"{file.at(('http_options', option))}: the load speaks plain HTTP; leave it out."
    if _mapping(data.get("grpc_options")).get("grpc_servicer_functions"):
        yield (
            f"{file.at(('grpc_options', 'grpc_servicer_functions'))}: the load sends HTTP requests; leave it"
            f" out, and measure a deployment that takes HTTP."
        )
    for name, remedy in NOT_HONOURED.items():
        if data.get(name) is not None:
            yield f"{file.at((name,))} cannot be measured: {remedy}; leave it out."
    for number, application in enumerate(data["applications"]):
        key: Key = ("applications", number)
        yield from _environment(file, (*key, "runtime_env"), _mapping(application).get("runtime_env"))
        for place, deployment in enumerate(_sequence(_mapping(application).get("deployments"))):
            options = _mapping(_mapping(deployment).get("ray_actor_options"))
            below = (*key, "deployments", place, "ray_actor_options", "runtime_env")
            yield from _environment(file, below, options.get("runtime_env"))


def _environment(file: ServeFile, key: Key, environment: Any) -> Iterator[str]:
    for name, value in _mapping(environment).items():
        if name in OTHER_CODE and value:
            yield (
                f"{file.at((*key, name))} brings code that the record could not name: leave it out, and give"
                f" the folder as app.working_dir."
            )
        elif name != ENV_VARS and name not in OTHER_CODE:
            yield (
                f"{file.at((*key, name))} gives replicas another environment than the one whose versions are"
                f" recorded: leave it out, and install what it needs where vbench runs, or in the environment"
                f" of runtime.python."
            )
    for name in _mapping(_mapping(environment).get(ENV_VARS)):
        here = file.at((*key, ENV_VARS, name))
        if str(name).startswith("RAY_"):
            yield (
                f"{here} would be in force in replicas alone: leave it out, and give"
                f" runtime.env.{name}=VALUE, which reaches and is proven in every process of Ray."
            )
        elif name == "PYTHONPATH":
            yield f"{here} would hide vbench from replicas: leave it out, and give app.working_dir=FOLDER."


def _mapping(value: Any) -> Mapping[str, Any]:
    """What has another type is refused by Serve's own schema."""
    return value if isinstance(value, dict) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
