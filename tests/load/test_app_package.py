"""The user's application travels to an attached cluster: its folder, and requests from anywhere."""

from pathlib import Path

import pytest

from vbench.config.app_requests import read_app_requests
from vbench.config.arrivals import read_trace
from vbench.config.schema import AppConfig, Config, LoadConfig
from vbench.errors import InputError
from vbench.load.ray_job.app_package import app_requirements, copy_app
from vbench.load.ray_job.package import packaged
from vbench.load.spec import LoadSpec


def config(folder: Path, **keys: str) -> Config:
    app = AppConfig(import_path="main:app", working_dir=str(folder), **keys)
    return Config(workload="app", app=app, outputs=str(folder / "outputs"))


def test_a_trace_and_its_bodies_travel_with_any_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.bin", "first")
    write(tmp_path / "times.jsonl", '{"at_s": 1, "body_file": "a.bin"}\n\n{"at_s": 2}')
    asked = Config(load=LoadConfig(name="trace", trace=str(tmp_path / "times.jsonl")))
    with packaged(LoadSpec(config=asked, folder=tmp_path, endpoint=None)) as package:
        monkeypatch.chdir(package.working_dir)
        trace = read_trace(package.job.config.load)
        assert [(line.number, line.at_s) for line in trace] == [(1, 1), (3, 2)]
        assert (
            Path(package.job.config.load.trace or "").with_name(trace[0].request["body_file"]).read_text()
            == "first"
        )


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    its = tmp_path / "its"
    for name in ("main.py", "parts/model.bin", ".env", "requirements.txt"):
        write(its / name, name)
    for name in (".git/config", "env/pyvenv.cfg", "env/lib.py", "outputs/runs/1", "parts/__pycache__/a.pyc"):
        write(its / name)
    write(its / ".gitignore", "*.bin")
    (its / "parts" / "again").symlink_to(its)
    (its / "data").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "elsewhere" / "x", "x")
    return its


def test_everything_but_environments_caches_and_outputs_is_copied(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    copied = copy_app(config(folder), there, most_mb=1)
    assert copied.app is not None
    assert copied.app.working_dir == "."
    names = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
    assert names == [".env", "data/x", "main.py", "parts/model.bin", "requirements.txt"]
    assert app_requirements(there) == ["-r ${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/requirements.txt"]


def test_requests_and_their_bodies_come_from_anywhere_and_keep_their_lines(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "bodies" / "a.bin", "first")
    lines = ['{"path": "/x"}', "", '{"body_file": "bodies/a.bin", "weight": 2}']
    write(tmp_path / "lines.jsonl", "\n".join(lines))
    asked = config(folder, requests=str(tmp_path / "lines.jsonl"))
    there = tmp_path / "there"
    copied = copy_app(asked, there, most_mb=1).app
    assert copied is not None
    assert asked.app is not None
    expected = read_app_requests(asked.app)
    monkeypatch.chdir(there)
    assert read_app_requests(copied) == expected
    assert [request.name for request in expected] == ["line 1", "line 3"]


def test_a_config_file_comes_from_anywhere(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "serve.yaml", "applications: []")
    copied = copy_app(config(folder, config=str(tmp_path / "serve.yaml")), tmp_path / "there", most_mb=1).app
    assert copied is not None
    assert copied.config is not None
    assert (tmp_path / "there" / copied.config).read_text() == "applications: []"


def test_a_folder_that_is_too_large_is_refused_with_its_largest_parts(folder: Path, tmp_path: Path) -> None:
    write(folder / "parts" / "more", "x" * 3_000_000)
    with pytest.raises(InputError, match=r"has 3 MB, but Ray accepts at most 1 MB .* parts \(3 MB\)"):
        copy_app(config(folder), tmp_path / "there", most_mb=1)
