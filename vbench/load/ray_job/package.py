"""The package of a Ray job: a folder with the code and the job's input files, and the requirements."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from vbench.config.checkout import IS_INSTALLED, PACKAGE, ROOT
from vbench.config.workload import APP, workload_of
from vbench.errors import InputError
from vbench.load.ray_job.app_package import app_requirements, copy_app
from vbench.load.ray_job.entrypoint import INPUTS
from vbench.load.ray_job.request_files import copy_requests
from vbench.load.spec import PREPARED, LoadSpec, read_clip
from vbench.ray_internals.jobs import PACKAGE_LIMIT_BYTES
from vbench.record.clip import Clip
from vbench.record.files import write_json
from vbench.telemetry.environment import JUNK

MOST_MB = 0.75 * PACKAGE_LIMIT_BYTES / 1e6
"""Of a package before it is packed."""


TRACE_FOLDER = ".vbench_trace"
"""Folder with the file of arrivals and the bodies that it names: these may be anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPackage:
    """What a Ray job gets of this machine's files."""

    job: LoadSpec
    """Its specification, with paths in the package."""
    working_dir: Path
    """The folder in which the job's processes run."""
    modules: tuple[Path, ...] = ()
    """Python packages that they can import in addition to those in that folder."""
    requirements: list[str]
    """Of the job, as pip takes them."""


@contextmanager
def packaged(job: LoadSpec) -> Iterator[JobPackage]:
    """A folder with the code and the job's input files; InputError if it is too large for Ray."""
    with tempfile.TemporaryDirectory(prefix="vbench-package-") as name:
        folder = Path(name)
        code = folder / PACKAGE.name
        shutil.copytree(PACKAGE, code, ignore=shutil.ignore_patterns(*JUNK))
        if workload_of(job.config) == APP:
            yield _with_trace(_of_app(job, folder / "app", code))
        else:
            yield _with_trace(_of_built_in(job, folder))


def _with_trace(package: JobPackage) -> JobPackage:
    """The package with the trace of its load, if it has one."""
    config = package.job.config
    if config.load.trace is None:
        return package
    trace = copy_requests(Path(config.load.trace), package.working_dir, TRACE_FOLDER)
    config = replace(config, load=replace(config.load, trace=trace))
    return replace(package, job=replace(package.job, config=config))


def _of_app(job: LoadSpec, folder: Path, code: Path) -> JobPackage:
    """The processes run in a copy of the application's folder, as on a cluster on this machine."""
    config = copy_app(job.config, folder, MOST_MB)
    return JobPackage(
        job=replace(job, config=config, folder=Path()),
        working_dir=folder,
        modules=(code,),
        requirements=[*requirements(models=False), *app_requirements(folder)],
    )


def _of_built_in(job: LoadSpec, folder: Path) -> JobPackage:
    (folder / INPUTS).mkdir()
    config = job.config
    weights = Path(config.model.weights).expanduser()
    if weights.exists():
        copy = shutil.copytree if weights.is_dir() else shutil.copy
        copy(weights, folder / INPUTS / weights.name)
        config = replace(config, model=replace(config.model, weights=f"{INPUTS}/{weights.name}"))
    clip = read_clip(job.folder)
    if clip is not None:
        clip = _with_clip(clip, folder)
        write_json(folder / INPUTS / PREPARED, clip)
    size_mb = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    if size_mb > MOST_MB:
        raise InputError(
            f"the package with video and weights has {size_mb:.0f} MB, but Ray accepts at most"
            f" {MOST_MB:.0f} MB: put the video where the nodes can fetch it (video.path=s3://...), and"
            " give the weights by their name on a hub"
        )
    return JobPackage(
        job=replace(job, config=config, folder=Path()),
        working_dir=folder,
        requirements=requirements(models=True),
    )


def _with_clip(clip: Clip, folder: Path) -> Clip:
    """The clip with paths in the package, which does not contain a clip that the service fetches."""
    reference = Path(shutil.copy(clip.reference, folder / INPUTS))
    path = clip.path
    if clip.address is None:
        path = f"{INPUTS}/{Path(shutil.copy(clip.path, folder / INPUTS)).name}"
    return replace(clip, path=path, reference=f"{INPUTS}/{reference.name}")


def requirements(*, models: bool) -> list[str]:
    """The direct dependencies at the pinned versions, including those of the ``models`` if wanted."""
    names = _of_the_package(models) if IS_INSTALLED else _of_the_checkout(models)
    # Ray itself is the cluster's own.
    return [requirement for requirement in names if not requirement.startswith("ray[")]


def _of_the_checkout(models: bool) -> list[str]:
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    return [*project["dependencies"], *(project["optional-dependencies"]["models"] if models else [])]


def _of_the_package(models: bool) -> list[str]:
    from importlib.metadata import requires

    parts = [line.partition(";") for line in requires("vbench") or ()]
    wanted = ("", 'extra == "models"') if models else ("",)
    return [requirement.strip() for requirement, _, marker in parts if marker.strip() in wanted]
