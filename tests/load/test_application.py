"""The user's application is imported or built, or refused in a sentence; its responses are checked."""

import json
from pathlib import Path
from typing import Any

import pytest

from vbench.config.app_requests import AppRequest
from vbench.config.schema import AppConfig, Config
from vbench.config.serve_file import read_serve_file
from vbench.errors import InputError
from vbench.load.app_check import ResponseCheck
from vbench.load.app_placement import check_placement
from vbench.load.application import code_digest, load_application
from vbench.load.closed_loop import Outcome
from vbench.load.serve_config import load_applications, unused_keys

MODULE = """
from pydantic import BaseModel
from ray import serve

class Settings(BaseModel, extra="forbid"):
    size: int = 1

@serve.deployment
class Echo:
    def __init__(self, size=0):
        self.size = size

app = Echo.bind()
number = 3

def typed(settings: Settings): return Echo.bind(settings.size)
def plain(args): return Echo.bind(args["size"])
def without(): return Echo.bind()
def starting(args): return serve.run(app)
def raising(args): raise ValueError("no such model")
def nothing(args): pass
def right(request, response): return response["body"] == request["body"] or "other bytes"
def broken(request, response): return response["json"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A folder with the module ``its_app``, which is imported anew for each test."""
    import sys

    (tmp_path / "its_app.py").write_text(MODULE)
    (tmp_path / "its_needs.py").write_text("import not_installed_anywhere")
    (tmp_path / "its_fault.py").write_text("1 / 0")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("its_app", "its_needs", "its_fault"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def config(folder: Path, path: str = "its_app:app", **keys: Any) -> Config:
    return Config(workload="app", app=AppConfig(import_path=path, working_dir=str(folder), **keys))


@pytest.mark.parametrize(
    ("name", "args"), [("app", {}), ("typed", {"size": 2}), ("plain", {"size": 2}), ("without", {})]
)
def test_an_application_is_imported_or_built(folder: Path, name: str, args: dict[str, Any]) -> None:
    assert type(load_application(config(folder, f"its_app:{name}", args=args))).__name__ == "Application"


@pytest.mark.parametrize(
    ("path", "args", "named"),
    [
        ("its_ap:app", {}, "there is no module 'its_ap' in"),
        ("its_app:ap", {}, "its_app has no 'ap'; did you mean 'app'?"),
        ("its_needs:app", {}, "imports 'not_installed_anywhere', which is not installed here"),
        (
            "its_fault:app",
            {},
            "its_fault cannot be imported: ZeroDivisionError: division by zero (its_fault.py, line 1)",
        ),
        ("its_app:Echo", {}, "is a deployment and no application: name what its .bind() returns"),
        ("its_app:number", {}, "is of type int and no application"),
        ("its_app:app", {"size": 1}, "leave app.args out"),
        ("its_app:without", {"size": 1}, "leave app.args out"),
        ("its_app:typed", {"sise": 1}, "app.args.sise: Extra inputs are not permitted"),
        ("its_app:plain", {}, "raised KeyError: 'size'"),
        ("its_app:raising", {}, "raised ValueError: no such model"),
        ("its_app:starting", {}, "starts Ray itself (ray.init or serve.run) while it is imported"),
        ("its_app:nothing", {}, "returned NoneType and no application"),
    ],
)
def test_what_is_no_application_is_refused(folder: Path, path: str, args: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as refused:
        load_application(config(folder, path, args=args))
    assert str(refused.value).startswith((f"app.import_path={path}", "app.args"))
    assert named in str(refused.value)


FILE = """\
applications:
- name: first
  route_prefix: /
  import_path: its_app.app
- name: second
  route_prefix: /second
  import_path: its_app:typed
  args: {size: 2}
  deployments:
  - name: Echo
    num_replicas: 2
"""


def of_file(folder: Path, text: str) -> Config:
    (folder / "serve.yaml").write_text(text)
    return Config(workload="app", app=AppConfig(config=str(folder / "serve.yaml"), working_dir=str(folder)))


def test_the_applications_of_a_config_file_are_imported_or_built(folder: Path) -> None:
    first, second = load_applications(of_file(folder, FILE))
    assert [type(one.application).__name__ for one in (first, second)] == ["Application"] * 2
    assert (first.name, second.name) == ("first", "second")
    assert second.overrides == {"Echo": {"name": "Echo", "num_replicas": 2}}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (
            "its_app.app",
            "its_ap.app",
            "line 2 of app.config={}: applications.0.import_path=its_ap:app: there",
        ),
        ("size: 2", "sise: 2", "line 5 of app.config={}: applications.1.args.sise: Extra inputs are not"),
        (
            "num_replicas: 2",
            "num_replicas: two",
            "line 10 of app.config={}: applications.1.deployments.0: `num_replicas` must",
        ),
        ("/second", "/", "line 1 of app.config={}: applications: Found duplicate applications for route pre"),
        ("its_app.app", "its_app", "line 4 of app.config={}: applications.0.import_path: Got invalid import"),
    ],
)
def test_a_fault_of_a_config_file_is_named_by_its_line(folder: Path, old: str, new: str, named: str) -> None:
    config = of_file(folder, FILE.replace(old, new))
    with pytest.raises(InputError) as refused:
        load_applications(config)
    assert str(refused.value).startswith(named.format(folder / "serve.yaml"))


def test_options_of_a_config_file_count_for_the_room_that_replicas_need(folder: Path) -> None:
    applications = load_applications(of_file(folder, FILE))
    check_placement(applications, "key", [{"CPU": 3.0}])  # 1 replica of the first, 2 of the second
    with pytest.raises(InputError, match=r"key: its replicas .* need 3 CPU together, and the cluster has 2"):
        check_placement(applications, "key", [{"CPU": 2.0}])
    others = load_applications(of_file(folder, FILE.replace("name: Echo", "name: Ecco")))
    with pytest.raises(
        InputError, match=r"line 7 of .*import_path has no deployment 'Ecco': did you mean 'Ech"
    ):
        check_placement(others, "key", [{"CPU": 3.0}])


def test_what_a_trial_replaces_of_a_config_file_is_said(folder: Path) -> None:
    def said(text: str) -> str | None:
        app = of_file(folder, text).app
        assert app is not None
        return unused_keys(read_serve_file(str(app.config)))

    assert said(FILE) is None
    assert said(f"proxy_location: HeadOnly\n{FILE}") is None
    made = (
        "proxy_location: EveryNode\nhttp_options: {host: 0.0.0.0, port: 8000}\ngrpc_options: {port: 9000}\n"
    )
    assert "http_options.host, http_options.port, proxy_location, grpc_options are not" in str(
        said(made + FILE)
    )


def outcome(body: bytes) -> Outcome:
    return Outcome(
        index=0, scheduled_s=0, sent_s=0, done_s=1, sent_unix_s=0, status=200, body=body, error=None
    )


def problem(check: ResponseCheck, body: bytes) -> str | None:
    request = AppRequest(name="line 1", method="POST", path="/", body=b"same")
    return check.problem(request, outcome(body))


def test_responses_to_one_request_must_have_the_same_digest(folder: Path) -> None:
    check = ResponseCheck.of(config(folder, check="digest"))
    assert problem(check, b"a") is None
    assert problem(check, b"a") is None
    assert "another response to line 1 than before" in str(problem(check, b"b"))
    assert list(check.digests) == ["line 1"]


@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        ("json:boxes.0.label=cat", None),
        ("json:count=2", None),
        ("json:count=3", "count of the response to line 1 is 2 instead of 3"),
        ("json:boxes.1", "the response to line 1 has no boxes.1"),
        ("json:boxes", None),
    ],
)
def test_a_value_of_the_json_is_compared(folder: Path, check: str, wrong: str | None) -> None:
    body = json.dumps({"count": 2, "boxes": [{"label": "cat"}]}).encode()
    assert problem(ResponseCheck.of(config(folder, check=check)), body) == wrong


def test_a_value_without_another_to_compare_it_with_must_be_the_same_each_time(folder: Path) -> None:
    check = ResponseCheck.of(config(folder, check="json:a"))
    assert problem(check, b'{"a": 1, "time": 1}') is None
    assert problem(check, b'{"a": 1, "time": 2}') is None
    assert "another a to line 1 than before" in str(problem(check, b'{"a": 2}'))
    assert "is no JSON" in str(problem(check, b"<html>"))


def test_a_function_of_the_users_judges(folder: Path) -> None:
    check = ResponseCheck.of(config(folder, check="its_app:right"))
    assert problem(check, b"same") is None
    assert problem(check, b"else") == "the response to line 1 is wrong, says its_app:right: other bytes"


def test_a_function_that_raises_or_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"raised KeyError: 'json' \(its_app\.py, line 23\) for line 1"):
        problem(ResponseCheck.of(config(folder, check="its_app:broken")), b"")
    with pytest.raises(InputError, match="its_app has no 'wrong'"):
        ResponseCheck.of(config(folder, check="its_app:wrong"))


def test_the_code_is_all_python_files_below_the_folder(folder: Path) -> None:
    before = code_digest(folder)
    (folder / "notes.txt").write_text("no code")
    (folder / ".git").mkdir()
    (folder / ".git" / "hook.py").write_text("none of its own")
    assert code_digest(folder) == before
    (folder / "its_app.py").write_text("changed")
    assert code_digest(folder) != before
