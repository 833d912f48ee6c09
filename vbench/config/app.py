"""What ``workload=app`` needs of a configuration; nothing is imported or started."""

import re
from collections.abc import Iterator
from pathlib import Path

from vbench.config.app_requests import read_app_requests
from vbench.config.schema import AppConfig, Config
from vbench.config.serve_file import read_serve_file
from vbench.config.transfer import TRANSFER
from vbench.config.workload import APP
from vbench.errors import ConfigError
from vbench.ray_internals.ingress import Ingress, ingress_of

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""MODULE:NAME, both with dots."""

NO_APPLICATION = "workload=app needs an application: add app.import_path=MODULE:NAME, or app.config=FILE."

DIGEST = "digest"
JSON = "json:"


def app_of(config: Config) -> AppConfig:
    """The application of a configuration that was checked to have one."""
    assert config.app is not None, "only workload=app has an application"
    return config.app


def working_dir(config: Config) -> Path | None:
    """The folder of the application, absolute; None for other workloads."""
    return None if config.workload != APP else Path(app_of(config).working_dir).expanduser().resolve()


def application_key(app: AppConfig) -> str:
    """What an application was asked for by: ``app.import_path=main:app``."""
    return f"app.import_path={app.import_path}" if app.config is None else f"app.config={app.config}"


def problems(config: Config) -> Iterator[str]:
    """One sentence for each thing that keeps the workload from running."""
    if config.workload == TRANSFER and config.load.name != TRANSFER:
        yield (
            f"load={config.load.name} does not go with workload=transfer: leave load out, or give"
            f" load=transfer."
        )
    if config.workload == APP:
        yield from _app(config)
    elif config.app is not None:
        yield f"app is for an application of your own, and workload={config.workload}: add workload=app."


def _app(config: Config) -> Iterator[str]:
    app = config.app
    if app is None:
        yield NO_APPLICATION
        return
    if config.load.name == TRANSFER:
        yield "load=transfer does not go with workload=app, which sends HTTP requests: give load=closed."
    if app.config is not None:
        yield from _config_file(config, app)
    elif app.import_path is None:
        yield NO_APPLICATION
    elif not IMPORT_PATH.fullmatch(app.import_path):
        yield f"app.import_path={app.import_path} must be MODULE:NAME, such as app.import_path=main:app."
    if not Path(app.working_dir).expanduser().is_dir():
        yield f"app.working_dir={app.working_dir} is not a folder: give the one that the module is in."
    yield from _check(app.check)
    try:
        read_app_requests(app)
    except ConfigError as error:
        yield str(error)


def _config_file(config: Config, app: AppConfig) -> Iterator[str]:
    assert app.config is not None
    given = [name for name in ("import_path", "args") if getattr(app, name)]
    if given:
        yield (
            f"app.config={app.config} says what to import, with which arguments: leave out"
            f" {' and '.join(f'app.{name}' for name in given)}, or app.config."
        )
    try:
        applications = read_serve_file(app.config).data["applications"]
    except ConfigError as error:
        yield str(error)
        return
    if len(applications) > 1 and ingress_of(config.runtime.env) is Ingress.REPLICAS:
        yield (
            f"app.config={app.config} has {len(applications)} applications, and with direct ingress each"
            f" listens on ports of its own: use a file with one, or leave out the setting."
        )


def _check(check: str | None) -> Iterator[str]:
    if check is None or check == DIGEST or (check.startswith(JSON) and check.removeprefix(JSON)):
        return
    if check.startswith(JSON) or not IMPORT_PATH.fullmatch(check):
        yield (
            f"app.check={check} must be digest, json:PATH, json:PATH=VALUE or MODULE:FUNCTION, or null to"
            f" check the status only."
        )
