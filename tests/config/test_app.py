"""``workload=app``: what a configuration must have, and the requests that it sends."""

from collections import Counter
from pathlib import Path

import pytest

from vbench.config.app_requests import in_order, read_app_requests
from vbench.config.schema import AppConfig
from vbench.config.workload import workload_of
from vbench.errors import ConfigError
from vbench.record.fingerprint import fingerprint
from vbench.record.question import question
from vbench.run.compose import compose_configs


def requests_file(folder: Path, *lines: str) -> AppConfig:
    path = folder / "requests.jsonl"
    path.write_text("\n".join(lines))
    return AppConfig(import_path="main:app", requests=str(path))


def test_lines_are_read_with_bodies_of_three_kinds(tmp_path: Path) -> None:
    (tmp_path / "picture.bin").write_bytes(b"\x00\xff")
    app = requests_file(
        tmp_path,
        '{"path": "/a?b=1"}',
        "",
        '{"json": {"n": 1}, "headers": {"X": "y"}, "weight": 2}',
        '{"method": "put", "path": "/c", "body_file": "picture.bin"}',
        '{"body": "text"}',
    )
    first, second, third, fourth = read_app_requests(app)
    assert (first.name, first.method, first.path, first.body) == ("line 1", "GET", "/a?b=1", None)
    assert (second.name, second.method, second.body) == ("line 3", "POST", b'{"n": 1}')
    assert second.headers == {"Content-Type": "application/json", "X": "y"}
    assert (third.method, third.body, fourth.body) == ("PUT", b"\x00\xff", b"text")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "line 2 of app.requests="),
        ("[]", "is no object"),
        ('{"pth": "/"}', "did you mean 'path'?"),
        ('{"path": "a"}', "path a must begin with a slash: /a"),
        ('{"method": "GTE"}', "method GTE does not exist: did you mean 'GET'?"),
        ('{"body": "a", "json": 1}', "body and json exclude each other"),
        ('{"body": 1}', "body 1 is no text: give it as json"),
        ('{"weight": 0}', "weight 0 must be a number above 0"),
        ('{"headers": {"X": 1}}', "headers must be an object of texts"),
        ('{"body_file": "none.bin"}', "none.bin cannot be read: No such file or directory"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, line: str, named: str) -> None:
    with pytest.raises(ConfigError, match=r"line 2 of app\.requests=") as refused:
        read_app_requests(requests_file(tmp_path, '{"path": "/"}', line))
    assert named in str(refused.value)


def test_weights_give_the_mix_and_the_seed_gives_the_order(tmp_path: Path) -> None:
    app = requests_file(tmp_path, '{"path": "/a"}', '{"path": "/b", "weight": 3}')
    lines = read_app_requests(app)
    sent = in_order(lines, 9, seed=1)
    assert Counter(one.path for one in sent) == {"/a": 2, "/b": 7}
    assert sent == in_order(lines, 9, seed=1)
    assert sent != in_order(lines, 9, seed=2)


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["workload=app"], "add app.import_path=MODULE:NAME"),
        (["workload=app", "app.import_path=main"], "app.import_path=main must be MODULE:NAME"),
        (
            ["workload=app", "app.import_path=a:b", "app.working_dir=nowhere"],
            "app.working_dir=nowhere is not",
        ),
        (["workload=app", "app.import_path=a:b", "app.method=FETCH"], "app.method=FETCH does not exist"),
        (["workload=app", "app.import_path=a:b", "app.path=x"], "app.path=x must begin with a slash"),
        (["workload=app", "app.import_path=a:b", "app.check=md5"], "app.check=md5 must be digest"),
        (["workload=app", "app.import_path=a:b", "app.requests=no.jsonl"], "app.requests=no.jsonl cannot be"),
        (["workload=app", "app.import_path=a:b", "load=transfer"], "load=transfer does not go with"),
        (["app.import_path=a:b"], "add workload=app"),
        (["workload=transfer", "load=closed", "cluster=emulated"], "load=closed does not go with"),
        (["workload=ap"], "did you mean 'app'?"),
    ],
)
def test_what_cannot_run_is_refused_in_a_sentence(overrides: list[str], named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose_configs(overrides, multirun=False)
    assert named in str(refused.value)


def test_the_workload_transfer_is_the_load_transfer_and_measures_the_same() -> None:
    (as_load,) = compose_configs(["load=transfer", "cluster=emulated"], multirun=False)
    (as_workload,) = compose_configs(["workload=transfer", "cluster=emulated"], multirun=False)
    assert workload_of(as_load) == workload_of(as_workload) == "transfer"
    both = [vars_of(as_load), vars_of(as_workload)]
    assert len({fingerprint(one) for one in both}) == 1
    assert len({question(one) for one in both}) == 1


def test_arguments_of_the_builder_can_be_swept_without_a_plus() -> None:
    configs = compose_configs(
        ["workload=app", "app.import_path=a:b", "app.args.size_mb=1,8", "app.headers.X=y"], multirun=True
    )
    assert [config.app and config.app.args for config in configs] == [{"size_mb": 1}, {"size_mb": 8}]
    assert len({question(vars_of(config)) for config in configs}) == 2


def vars_of(config: object) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(config)  # type: ignore[call-overload, no-any-return]
