"""An environment from which Ray cannot start its workers is refused at once, in one sentence."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vbench.clusters import installation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["a b", "it's", "a&b"])
def odd_python(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The interpreter of an environment below a folder with such a name, with this one's packages."""
    folder = tmp_path / request.param / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (below,) = folder.glob("lib/python*/site-packages")
    (below / "theirs.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in packages)
    )
    return folder / "bin" / "python"


def test_it_is_refused_before_anything_is_imported_or_written(odd_python: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [str(odd_python), "-m", "vbench", f"outputs={tmp_path}/out", "tracking=off"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert len(lines) == 1, lines
    assert lines[0].startswith(
        f"vbench: Ray cannot start workers from {odd_python}, because the path contain"
    )
    assert "create the virtual environment in another folder" in lines[0]
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert not {"ray", "hydra", "torch", "vbench.run.session"} & imported, "it must not take seconds"
    assert not (tmp_path / "out").exists()
    assert time.monotonic() - began < 60


def test_the_configuration_can_be_seen_from_it_and_clusters_elsewhere_be_used() -> None:
    assert not installation.starts_a_cluster(["--cfg", "job"])
    assert not installation.starts_a_cluster(["--cfg=job"])
    assert not installation.starts_a_cluster(["cluster=attached", "cluster.address=http://127.0.0.1:8265"])
    assert installation.starts_a_cluster(["mode=combined"])


@pytest.mark.parametrize("sign", list(" \t'\"\\$`&;|<>()*?[]{}"))
def test_each_character_that_a_shell_reads_is_named(sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", f"/opt/my{sign}env/bin/python")
    path = installation.unusable_path()
    assert path is not None
    assert ("a space" if sign == " " else repr(sign)) in installation.sentence(path)


def test_ordinary_paths_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("env", "env-3.11", "päth", "a,b", "a=b", "a+b", "a@b", "a%b", "a:b", "~x", "a#b"):
        monkeypatch.setattr(sys, "executable", f"/opt/{name}/bin/python")
        assert installation.unusable_path() is None, name
