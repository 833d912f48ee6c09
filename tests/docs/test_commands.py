"""Every command in the README, the manual, the examples and CONTRIBUTING.md is run, or has a reason why not.

Commands are the lines of blocks marked ``sh``. A command that this module does not know fails a test, and so
does an entry that no page has. Trials are composed and validated as they are written (``--cfg job``), and one
is run in ``test_first_steps.py``, on a smaller scene.
"""

import re
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import sweeps
from vbench.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LANGUAGES = {"sh", "text", "yaml", "json", "python"}

CANNOT = {
    "docker build --build-arg RUNTIME=anyscale --tag vbench:anyscale .": "needs a Docker engine",
    "kubectl apply -f anyscale.yaml": "needs a Kubernetes cluster",
    "kubectl port-forward service/vbench-anyscale-head-svc 8265": "needs a Kubernetes cluster",
    "ray up anyscale.yaml": "needs an AWS account",
    "ray dashboard anyscale.yaml": "needs a cluster on AWS",
    "python docker/check_image.py anyscale": "needs debootstrap, root and 2.7 GB of downloads",
    "vbench cluster exec head": "waits for what is typed into its shell",
    ". .venv/bin/activate": "changes the shell that it is typed into",
    "pip install -e .[models]": "changes the environment that the tests run in",
    "pip install --constraint constraints.txt .": "changes the environment that the tests run in",
    "vbench --multirun runtime.python=null,/path/to/venv/bin/python blocks=5": "needs another environment",
    "python -m vbench.models.train_shapes": "trains for hours; tests/models/test_train_shapes.py trains less",
    'python -m pytest -m "not slow" -n 3 --dist loadgroup': "this suite",
    'python -m pytest -m "slow and not long" -n 2 --dist loadgroup': "this suite",
}
"""Commands that cannot be run in a test, and why."""

ELSEWHERE = {
    ".venv/bin/mlflow ui --backend-store-uri sqlite:///outputs/mlflow.db": (
        "tests/tracking/test_user_interface.py",
        "--backend-store-uri",
    ),
    "vbench resume=outputs/sweeps/TIME": ("tests/run/test_whole_sweeps.py", "resume="),
    "vbench resume=outputs/sweeps/TIME blocks=8": (
        "tests/run/test_auto_blocks.py",
        '"resume=swept", "blocks=4"',
    ),
    "vbench baseline save main outputs/sweeps/TIME": ("tests/cli/test_baseline.py", '"save", "main"'),
    "vbench baseline history main > history.csv": ("tests/cli/test_baseline.py", '"history", "main"'),
    "vbench compare outputs/sweeps/TIME --baseline main --require-non-inferior 5 --format github"
    " > comment.md": (
        "tests/cli/test_baseline.py",
        '"--require-non-inferior", "5", "--format", "github"',
    ),
    "vbench compare --experiment vbench --baseline runtime=single --candidate runtime=anyscale": (
        "tests/cli/test_compare.py",
        '"--experiment"',
    ),
    "vbench request http://127.0.0.1:8000 clip.mp4 --mode combined": (
        "tests/pipeline/on_cluster/test_service.py",
        '"vbench", "request"',
    ),
    "python examples/service_client/client.py http://127.0.0.1:8000 clip.mp4": (
        "tests/pipeline/on_cluster/test_service.py",
        "examples/service_client/client.py",
    ),
    "RAY_USAGE_STATS_ENABLED=0 RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=vbench.pipeline.front:middleware"
    " serve run vbench.pipeline:build mode=combined model=shapes": (
        "tests/pipeline/test_serve_run.py",
        '"vbench.pipeline:build", "mode=combined", "model=shapes"',
    ),
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=vbench.pipeline.front:middleware VBENCH_PROXY_PLACES=68"
    " ray start --head": ("tests/pipeline/test_serve_run.py", "front.environment("),
    'eval "$(vbench --shell-completion install=bash)"': ("tests/cli/test_completion.py", "install=bash"),
    "vbench log outputs": ("tests/docs/test_first_steps.py", '"log", "outputs"'),
    "vbench efficiency": ("tests/docs/test_first_steps.py", '"efficiency"'),
    "vbench revalidate outputs/sweeps/TIME": ("tests/docs/test_first_steps.py", '"revalidate"'),
    "vbench cluster up runtime=anyscale cluster.scale=400": (
        "tests/clusters/emulated/test_standalone.py",
        '"cluster", "up", "runtime=anyscale"',
    ),
    **{
        f"vbench cluster {command}": ("tests/clusters/emulated/test_standalone.py", text)
        for command, text in {
            "status": '"cluster", "status"',
            "exec head -- python program.py": '"python", "program.py"',
            "exec gpu -- ray status": '"gpu", "ray", "status"',
            "exec head -- ray job submit -- python program.py": '"ray", "job", "submit"',
            "down": '"cluster", "down"',
        }.items()
    },
    "python examples/read_record/mean_latency.py outputs/runs/TIME": (
        "tests/docs/test_first_steps.py",
        "examples/read_record/mean_latency.py",
    ),
}
"""Commands that another test runs, with paths and ports of its own; its file, and a text that shows it."""


def commands(page: Path) -> Iterator[str]:
    """The commands of a page, without comments, each in one line."""
    for language, block in BLOCK.findall(page.read_text()):
        if language == "sh":
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield shlex.join(words)


def quoted(command: str) -> str:
    """A command as ``commands`` gives it."""
    return shlex.join(shlex.split(command))


ALL = sorted({command for page in PAGES for command in commands(page)})
MAKE = [command for command in ALL if command.startswith("make ")]
NOT_HERE = {quoted(command) for command in (*ELSEWHERE, *CANNOT)}
VBENCH = [command for command in ALL if command.startswith("vbench ") and command not in NOT_HERE]
ON_SWEEP = [command for command in VBENCH if "outputs/sweeps/TIME" in command]
PRINTING = [
    command
    for command in VBENCH
    if shlex.split(command)[1] in ("--help", "--version", *COMMANDS) and command not in ON_SWEEP
]
TRIALS = [command for command in VBENCH if command not in (*ON_SWEEP, *PRINTING)]


def test_every_command_is_run_or_has_a_reason() -> None:
    known = {*MAKE, *VBENCH, *NOT_HERE}
    assert set(ALL) - known == set(), "no test runs these commands: add them to a list of this module"
    assert known - set(ALL) == set(), "no page has these commands any more"


def test_every_block_says_what_it_is() -> None:
    """So that no command hides in a block without a language."""
    for page in PAGES:
        for language, _ in BLOCK.findall(page.read_text()):
            assert language in LANGUAGES, page


def test_commands_that_another_test_runs_are_in_it() -> None:
    for command, (file, text) in ELSEWHERE.items():
        assert text in (ROOT / file).read_text(), command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, with the repository's files. Handlers of signals are put back afterwards."""
    for path in ROOT.iterdir():
        if path.name not in ("outputs", ".git"):
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield tmp_path
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def status(arguments: list[str]) -> int:
    """Of the command ``vbench``, run in this process."""
    try:
        return main(arguments)
    except SystemExit as left:
        return int(left.code or 0)


@pytest.mark.parametrize("command", TRIALS)
def test_trials_are_accepted(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "clip.mp4").write_bytes(b"")
    (folder / "serve.yaml").write_text("applications: [{import_path: main:app}]")
    arguments = shlex.split(command)[1:]
    if "--cfg" not in arguments:
        arguments += ["--cfg", "job"]
    assert status(arguments) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.startswith(("cluster:", "block:")), "a configuration"


@pytest.mark.parametrize("command", PRINTING)
@pytest.mark.usefixtures("folder")
def test_commands_that_print(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = shlex.split(command)[1:]
    assert status(arguments) == 0, capsys.readouterr().err
    if "--out" in arguments:
        assert Path(arguments[-1]).stat().st_size > 200
    else:
        assert capsys.readouterr().out


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Outputs with a sweep."""

    def latency(settings: Mapping[str, str], block: int) -> float:
        return (64.0 if settings["runtime"] == "anyscale" else 80.0) + 0.1 * block

    outputs = tmp_path_factory.mktemp("outputs")
    sweeps.write_sweep(outputs / "sweeps" / "TIME", {"runtime": ["single", "anyscale"]}, 3, latency)
    return outputs


@pytest.mark.parametrize("command", ON_SWEEP)
def test_commands_on_a_sweep(
    command: str, outputs: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "outputs").symlink_to(outputs)
    assert status(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    assert "anyscale" in capsys.readouterr().out.lower()


@pytest.mark.parametrize("command", MAKE)
def test_targets_exist(command: str) -> None:
    """What a target runs takes minutes, and is what CI runs."""
    done = subprocess.run(
        ["make", "--dry-run", *shlex.split(command)[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


INLINE = re.compile(r"`(vbench [^`]+)`")
PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\.\.\.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("folder")
def test_commands_within_sentences_are_accepted(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in INLINE.findall(BLOCK.sub("", page.read_text())):
        first, *rest = command.split()[1:]
        if first in COMMANDS or first in ("--help", "--version", "run"):
            continue
        if not PLACEHOLDER.search(command):
            arguments = [first, *rest]
            assert status([*arguments, *(() if "--cfg" in arguments else ("--cfg", "job"))]) == 0, command
            capsys.readouterr()
