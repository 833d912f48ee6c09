"""A shell completes commands, groups, options and keys, once the user has installed that."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vbench.config.checkout import ROOT


def printed(folder: Path, script: str, **environment: str) -> str:
    """What bash prints for a script in which ``vbench`` is a command."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    command = bin_folder / "vbench"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nfrom vbench.cli.start import entry_point\nsys.exit(entry_point())\n"
    )
    command.chmod(0o755)
    path = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("vbench runt", {"runtime=", "runtime."}),
        ("vbench tracking=", {"tracking=off", "tracking=sqlite"}),
        ("vbench mode=combined load.req", {"load.requests="}),
        ("vbench run mode=c", {"mode=chunked", "mode=combined"}),
        ("vbench +experiments=aa", {"+experiments=aa"}),
        ("vbench comp", {"compare"}),
        ("vbench compare outp", set()),
        ("vbench cluster ex", {"exec"}),
        ("vbench cluster up runt", {"runtime=", "runtime."}),
        ("vbench cluster exec runt", set()),
        ("vbench --cfg jo", set()),
        ("vbench runtime=nosuch load.req", set()),
    ],
)
def test_a_line_is_completed(tmp_path: Path, line: str, offered: set[str]) -> None:
    words = printed(tmp_path, "vbench -sc query=bash", COMP_LINE=line, COMP_POINT=str(len(line))).split()
    assert set(words) == offered


def test_an_option_of_the_users_own_is_offered(tmp_path: Path) -> None:
    (tmp_path / "vbench_conf" / "runtime").mkdir(parents=True)
    (tmp_path / "vbench_conf" / "runtime" / "two.yaml").write_text("# two connections\nconnections: 2\n")
    assert "runtime=two" in printed(tmp_path, "vbench -sc query=bash", COMP_LINE="vbench runtime=t").split()


def test_the_script_that_is_installed_completes_in_bash(tmp_path: Path) -> None:
    script = """
    eval "$(vbench --shell-completion install=bash)"
    COMP_LINE="vbench runtime=a" COMP_POINT=16 COMP_CWORD=1
    complete -p vbench
    hydra_bash_completion
    echo "${COMPREPLY[@]}"
    """
    registered, *completed = printed(tmp_path, script).splitlines()
    assert registered.endswith("-F hydra_bash_completion vbench")
    assert completed == ["runtime=anyscale"]


def test_a_shell_that_cannot_be_served_is_named_with_those_that_can(tmp_path: Path) -> None:
    said = printed(tmp_path, "vbench --shell-completion install=tcsh 2>&1; echo status $?")
    assert "install=SHELL or uninstall=SHELL, where SHELL is bash, fish, zsh." in said
    assert said.endswith("status 2\n")
