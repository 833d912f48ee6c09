"""Serve's config file is read, and refused with its line where a trial could not honour it."""

from dataclasses import asdict
from pathlib import Path

import pytest

from vbench.config.serve_file import read_serve_file
from vbench.errors import ConfigError
from vbench.record.question import question
from vbench.run.compose import compose_configs

GOOD = """\
proxy_location: EveryNode
http_options: {host: 0.0.0.0, port: 8000, root_path: /behind}
grpc_options: {port: 9000, grpc_servicer_functions: []}
applications:
- name: shop
  route_prefix: /shop
  import_path: shop:app
  runtime_env:
    env_vars: {SIZE: "2"}
  deployments:
  - name: Front
    num_replicas: 2
"""


def written(folder: Path, text: str) -> str:
    path = folder / "serve.yaml"
    path.write_text(text)
    return str(path)


def test_a_key_is_found_by_its_line(tmp_path: Path) -> None:
    file = read_serve_file(path := written(tmp_path, GOOD))
    key = ("applications", 0, "deployments", 0, "num_replicas")
    assert file.at(key) == f"line 12 of app.config={path}: applications.0.deployments.0.num_replicas"
    assert file.at((*key[:-1], "not_there")).startswith("line 11 of")
    assert file.data["applications"][0]["name"] == "shop"


IN_REPLICAS = "line 9 of app.config={path}: applications.0.runtime_env."


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("applications:", "applications: [", "line 5 of app.config={path} is no YAML"),
        ("applications:", "application:", "app.config={path} has no list of applications"),
        ("EveryNode", "Disabled", "line 1 of app.config={path}: proxy_location Disabled leaves no proxy"),
        (
            "root_path: /behind",
            "request_timeout_s: 5",
            "line 2 of app.config={path}: http_options.request_timeout_s is the load's: leave it out, and"
            " give load.timeout_s=5.",
        ),
        ("root_path: /behind", "ssl_keyfile: a", "the load speaks plain HTTP"),
        ("functions: []", "functions: [a.b]", "the load sends HTTP requests"),
        (
            "applications:",
            "tracing_config: {enabled: true}\napplications:",
            "line 4 of app.config={path}: tra",
        ),
        ("SIZE", "RAY_x", IN_REPLICAS + "env_vars.RAY_x would be in force in replicas alone"),
        ("SIZE", "RAY_x", "give runtime.env.RAY_x=VALUE"),
        ("SIZE", "PYTHONPATH", "give app.working_dir=FOLDER"),
        ('env_vars: {SIZE: "2"}', "pip: [torch]", IN_REPLICAS + "pip gives replicas another environment"),
        ('env_vars: {SIZE: "2"}', "working_dir: .", IN_REPLICAS + "working_dir brings code"),
        (
            "num_replicas: 2",
            "ray_actor_options: {runtime_env: {conda: a}}",
            "line 12 of app.config={path}: applications.0.deployments.0.ray_actor_options.runtime_env.conda",
        ),
    ],
)
def test_what_a_trial_cannot_honour_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, named: str
) -> None:
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as refused:
        read_serve_file(path)
    assert named.format(path=path) in str(refused.value)


def test_the_file_takes_the_place_of_module_and_arguments(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    app = ["workload=app", f"app.working_dir={tmp_path}", "app.config=serve.yaml"]
    (config,) = compose_configs(app, multirun=False)
    assert config.app is not None
    assert config.app.config == str(tmp_path / "serve.yaml")
    for extra in (["app.import_path=a:b"], ["app.args.size=1"]):
        with pytest.raises(ConfigError, match="says what to import"):
            compose_configs([*app, *extra], multirun=False)
    with pytest.raises(ConfigError, match=r"nothing\.yaml cannot be read: No such file"):
        compose_configs([*app[:2], "app.config=nothing.yaml"], multirun=False)


def test_direct_ingress_takes_one_application(tmp_path: Path) -> None:
    written(tmp_path, GOOD + GOOD.partition("applications:\n")[2].replace("shop", "other"))
    app = ["workload=app", f"app.working_dir={tmp_path}", "app.config=serve.yaml"]
    compose_configs(app, multirun=False)
    with pytest.raises(ConfigError, match="has 2 applications, and with direct ingress"):
        compose_configs([*app, "runtime=direct_ingress"], multirun=False)


def test_the_content_of_the_file_belongs_to_the_question(tmp_path: Path) -> None:
    def asked(folder: str, text: str) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        written(tmp_path / folder, text)
        app = ["workload=app", f"app.working_dir={tmp_path / folder}", "app.config=serve.yaml"]
        (config,) = compose_configs(app, multirun=False)
        return question(asdict(config))

    assert asked("a", GOOD) == asked("b", GOOD)
    assert asked("a", GOOD) != asked("b", GOOD.replace("num_replicas: 2", "num_replicas: 3"))
