"""What ``workload=app`` needs of a configuration; nothing is imported or started."""

import re
from collections.abc import Iterator
from pathlib import Path

from vbench.config.app_requests import read_app_requests
from vbench.config.schema import AppConfig, Config
from vbench.config.transfer import TRANSFER
from vbench.config.workload import APP
from vbench.errors import ConfigError

IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""MODULE:NAME, both with dots."""

DIGEST = "digest"
JSON = "json:"


def app_of(config: Config) -> AppConfig:
    """The application of a configuration that was checked to have one."""
    assert config.app is not None, "only workload=app has an application"
    return config.app


def working_dir(config: Config) -> Path | None:
    """The folder of the application, absolute; None for other workloads."""
    return None if config.workload != APP else Path(app_of(config).working_dir).expanduser().resolve()


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
        yield "workload=app needs an application: add app.import_path=MODULE:NAME."
        return
    if config.load.name == TRANSFER:
        yield "load=transfer does not go with workload=app, which sends HTTP requests: give load=closed."
    if app.import_path is None:
        yield "workload=app needs an application: add app.import_path=MODULE:NAME."
    elif not IMPORT_PATH.fullmatch(app.import_path):
        yield f"app.import_path={app.import_path} must be MODULE:NAME, such as app.import_path=main:app."
    if not Path(app.working_dir).expanduser().is_dir():
        yield f"app.working_dir={app.working_dir} is not a folder: give the one that the module is in."
    yield from _check(app.check)
    try:
        read_app_requests(app)
    except ConfigError as error:
        yield str(error)


def _check(check: str | None) -> Iterator[str]:
    if check is None or check == DIGEST or (check.startswith(JSON) and check.removeprefix(JSON)):
        return
    if check.startswith(JSON) or not IMPORT_PATH.fullmatch(check):
        yield (
            f"app.check={check} must be digest, json:PATH, json:PATH=VALUE or MODULE:FUNCTION, or null to"
            f" check the status only."
        )
