"""Imports the applications of trials before anything is started, each with the Python of its arm."""

import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.ray_node import node_environment
from vbench.config.app import app_of, application_key, working_dir
from vbench.config.interpreter import executable_of, import_path
from vbench.config.schema import Config
from vbench.config.workload import APP, workload_of
from vbench.errors import InputError, last_reason
from vbench.linux.guard import supervised


def check_applications(configs: Iterable[Config]) -> None:
    """InputError if an application or its check cannot be imported, or has no place on its cluster.

    Those of attached clusters are imported on their nodes, which may have packages that this machine lacks.
    """
    by_python: dict[tuple[str, str], dict[str, Config]] = {}
    for config in configs:
        if workload_of(config) != APP or config.cluster.name == ATTACHED:
            continue
        different = json.dumps([asdict(app_of(config)), asdict(config.cluster)], sort_keys=True, default=str)
        group = (executable_of(config.runtime), str(working_dir(config)))
        by_python.setdefault(group, {}).setdefault(different, config)
    for together in by_python.values():
        _check([*together.values()])


def _check(configs: Sequence[Config]) -> None:
    """All have the same Python and the same folder."""
    first = configs[0]
    timeout_s = first.cluster.deploy_timeout_s
    env = node_environment(first.runtime, working_dir(first))
    with tempfile.TemporaryDirectory(prefix="vbench-import-") as name:
        folder = Path(name)
        given, events, errors = folder / "configs.json", folder / "events", folder / "errors"
        given.write_text(json.dumps([asdict(config) for config in configs]))
        command = [executable_of(first.runtime), "-m", "vbench.load.app_probe", str(given)]
        with (
            events.open("wb") as output,
            errors.open("wb") as log,
            supervised(
                command,
                env=env | import_path(first.runtime, Path(first.outputs), env),
                stdout=output,
                stderr=log,
            ) as process,
        ):
            try:
                process.guard.wait(timeout_s * len(configs))
            except subprocess.TimeoutExpired as error:
                raise InputError(
                    f"{application_key(app_of(first))} was not imported within"
                    f" cluster.deploy_timeout_s={timeout_s:g}: let the module do its work in the constructors"
                    f" of its deployments, or raise it."
                ) from error
        reported = [json.loads(line) for line in events.read_text().splitlines()]
        if not reported:
            reason = last_reason(errors.read_text(errors="replace"), "it printed nothing")
            raise InputError(
                f"{application_key(app_of(first))}: Python ended with status"
                f" {process.guard.returncode} while it was imported: {reason}."
            )
    if reported[-1]["event"] == "failed":
        raise InputError(reported[-1]["message"])
