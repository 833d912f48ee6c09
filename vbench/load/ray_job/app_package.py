"""What the nodes of an attached cluster need of the user's application: its folder and its requests."""

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vbench.config.app import app_of, working_dir
from vbench.config.schema import Config
from vbench.errors import InputError
from vbench.load.app_files import app_files
from vbench.load.ray_job.request_files import copy_requests

REQUESTS = ".vbench_requests"
"""Folder in the copy with the file of requests and the bodies that it names: these may be anywhere."""

CONFIG = ".vbench_config/serve.yaml"
"""The copy of Serve's config file."""

NOT_COPIED = (".gitignore", ".rayignore")
"""By these, Ray would leave out files that the application may need."""

REQUIREMENTS = "requirements.txt"


def copy_app(config: Config, folder: Path, most_mb: float) -> Config:
    """Copy the application into ``folder``; the configuration of a process that runs there.

    InputError if there are more than ``most_mb`` MB.
    """
    source = working_dir(config)
    assert source is not None, "only workload=app has a folder"
    files = [
        path
        for path in app_files(source, without=[Path(config.outputs).expanduser().resolve()])
        if path.name not in NOT_COPIED
    ]
    _check_size(source, files, most_mb)
    folder.mkdir()
    for path in files:
        copy = folder / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    app = replace(app_of(config), working_dir=".")
    if app.config is not None:
        (folder / CONFIG).parent.mkdir()
        shutil.copy(app.config, folder / CONFIG)
        app.config = CONFIG
    if app.requests is not None:
        app.requests = copy_requests(Path(app.requests), folder, REQUESTS)
    return replace(config, app=app)


def _check_size(source: Path, files: Iterable[Path], most_mb: float) -> None:
    sizes: Counter[str] = Counter()
    for path in files:
        sizes[path.relative_to(source).parts[0]] += path.stat().st_size
    if (size_mb := sizes.total() / 1e6) <= most_mb:
        return
    largest = ", ".join(f"{name} ({size / 1e6:.0f} MB)" for name, size in sizes.most_common(3))
    raise InputError(
        f"app.working_dir={source} has {size_mb:.0f} MB, but Ray accepts at most {most_mb:.0f} MB of files;"
        f" the largest are {largest}: move what the application does not need out of the folder, and large"
        f" files to where the nodes can fetch them"
    )


def app_requirements(folder: Path) -> list[str]:
    """How pip is told to install the requirements of the application in ``folder``, on a node."""
    # Ray puts the folder of the unpacked application there.
    there = f"${{RAY_RUNTIME_ENV_CREATE_WORKING_DIR}}/{REQUIREMENTS}"
    return [f"-r {there}"] if (folder / REQUIREMENTS).is_file() else []
