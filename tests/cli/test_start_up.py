"""What a command that starts nothing imports: no library that takes long, so that it answers at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "av",
    "fastapi",
    "matplotlib",
    "mlflow",
    "pandas",
    "psutil",
    "pyarrow",
    "pyroute2",
    "ray",
    "requests",
    "rich",
    "scipy",
    "sqlalchemy",
    "torch",
    "vbench.analysis",
    "vbench.run.trial",
}
"""Libraries and modules that take a tenth of a second or more."""

HYDRA = {"hydra", "omegaconf", "pydantic", "yaml"}

REPORT = """
import json, sys
from vbench.cli.main import main
status = main(json.loads(sys.argv[1]))
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


def status_and_modules(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    """The exit status of a command line, and the modules that it has imported."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, json.dumps(arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    return status, set(modules)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--cfg", "job"], 0),
        (["--cfg", "job", "--resolve", "load.requests=8", "runtime=anyscale"], 0),
        (["--multirun", "--cfg", "hydra", "mode=chunked,combined"], 0),
        (["runtime=anyscal"], 2),
        (["load.reqests=3"], 2),
        (["load.requests=x"], 2),
        (["pipeline.fps=-1"], 2),
        (["model.device=tpu"], 2),
        (["video=file", "video.path=nowhere.mov", "mode=chunked,combined"], 2),
    ],
)
def test_a_configuration_is_shown_or_refused_without_heavy_libraries(
    tmp_path: Path, arguments: list[str], expected: int
) -> None:
    status, modules = status_and_modules(tmp_path, *arguments)
    assert status == expected
    assert not HEAVY & modules
    assert not any(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["compair"]])
def test_help_and_version_import_not_even_hydra(tmp_path: Path, arguments: list[str]) -> None:
    _, modules = status_and_modules(tmp_path, *arguments)
    assert not (HEAVY | HYDRA) & modules


def test_the_process_that_sends_requests_does_not_import_pytorch() -> None:
    imported = "import vbench.load.video_load, sys; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"
