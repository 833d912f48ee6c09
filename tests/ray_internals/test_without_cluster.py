"""The interfaces that can be tried without a cluster, each by the test of its name."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from ray import serve
from ray.exceptions import AuthenticationError

from tests.ray_internals.cluster import DEADLINE_S, environment
from vbench.pipeline import build
from vbench.ray_internals import (
    api_server,
    applications,
    authentication,
    haproxy,
    jobs,
    node,
    object_manager,
)
from vbench.ray_internals.ingress import HAPROXY_VARIABLE, OPTIMIZED_VARIABLE
from vbench.ray_internals.setting_signs import effective
from vbench.ray_internals.settings import Kind, installed_folder, known_names, native_setting, python_kind


def test_node_variables() -> None:
    code = (
        "import json\n"
        "from ray._common.usage.usage_lib import usage_stats_enabled\n"
        "from ray._private import ray_constants, ray_logging\n"
        "from ray._private.accelerators import RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO_ENV_VAR as accelerator\n"
        "drain_s = ray_constants.RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S\n"
        "print(json.dumps([usage_stats_enabled(), ray_logging.RAY_DEDUP_LOGS, drain_s, accelerator]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, **node.NODE_VARIABLES},
        capture_output=True,
        timeout=DEADLINE_S,
    )
    *values, accelerator = json.loads(done.stdout)
    assert values == [False, False, 0.0]
    assert accelerator in node.NODE_VARIABLES


def test_setting_names() -> None:
    names = known_names(installed_folder())
    assert set(node.NODE_VARIABLES) <= names
    assert {object_manager.COUNT_VARIABLE, object_manager.ENABLE_VARIABLE} <= names
    assert "RAY_SERVE_THROUGHPUT_OPTIMIZED" in names
    assert {f"{object_manager.COUNT_VARIABLE}s", "RAY_", "RAY_SERVE_"} & names == set()


@pytest.mark.parametrize(
    ("name", "value", "kind", "is_read"),
    [
        ("RAY_object_manager_default_chunk_size", "1048576", Kind.NUMBER, True),
        ("RAY_object_manager_default_chunk_size", "1MB", Kind.NUMBER, False),
        ("RAY_object_manager_default_chunk_size", "1.5", Kind.NUMBER, False),
        ("RAY_object_spilling_threshold", "0.75", Kind.NUMBER, True),
        ("RAY_event_stats", "yes", Kind.BOOLEAN, True),
        ("RAY_object_spilling_directory", "/tmp", Kind.TEXT, True),
    ],
)
def test_setting_types(name: str, value: str, kind: Kind, is_read: bool) -> None:
    setting = native_setting(installed_folder(), name, value)
    assert setting is not None
    assert (setting.kind, setting.is_read) == (kind, is_read)


def test_pull_timeout() -> None:
    setting = native_setting(installed_folder(), object_manager.PULL_TIMEOUT_VARIABLE, "5000")
    assert setting is not None
    assert (setting.kind, setting.is_read) == (Kind.NUMBER, True)


def test_a_setting_of_python_alone_has_no_native_type() -> None:
    assert native_setting(installed_folder(), "RAY_SERVE_FREEZE_GC_ON_STARTUP", "1") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RAY_SERVE_FREEZE_GC_ON_STARTUP", Kind.FLAG),
        ("RAY_SERVE_USE_GRPC_BY_DEFAULT", Kind.FLAG),
        ("RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE", Kind.INTEGER),
        ("RAY_SERVE_HAPROXY_MAXCONN", Kind.INTEGER),
        ("RAY_SERVE_MAX_CACHED_HANDLES", Kind.POSITIVE_INTEGER),
        ("RAY_SERVE_QUEUE_LENGTH_RESPONSE_DEADLINE_S", Kind.NUMBER),
        ("RAY_ADDRESS", None),
    ],
)
def test_settings_in_python(name: str, kind: Kind | None) -> None:
    assert python_kind(installed_folder(), name) == kind


def test_package_limit() -> None:
    from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE

    assert GCS_STORAGE_MAX_SIZE == jobs.PACKAGE_LIMIT_BYTES


def test_serve_builds_the_graph_from_the_arguments_in_a_yaml_file() -> None:
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary

    built = call_user_app_builder_with_args_if_necessary(build, {"mode": "combined", "model": "shapes"})
    assert isinstance(built, serve.Application)


def test_deployment_needs() -> None:
    @serve.deployment(num_replicas=3, ray_actor_options={"num_cpus": 0.5, "resources": {"x": 1}})
    class Some:
        pass

    scaled = Some.options(
        name="Scaled", num_replicas=None, autoscaling_config={"min_replicas": 2, "max_replicas": 4}
    )
    bundles = [{"CPU": 1}, {"GPU": 1}]
    grouped = Some.options(
        name="Grouped", num_replicas=1, ray_actor_options={"num_cpus": 1}, placement_group_bundles=bundles
    )
    front = Some.options(name="Front", num_replicas=1, ray_actor_options={})
    application = front.bind(Some.bind(), scaled.bind(), grouped.bind())
    found = {one.name: one for one in applications.deployment_needs(application, "app")}
    assert [(one.name, one.replicas) for one in found.values()] == [
        ("Some", 3),
        ("Scaled", 2),
        ("Grouped", 1),
        ("Front", 1),
    ]
    assert found["Some"].bundles == ({"CPU": 0.5, "x": 1},)
    assert found["Grouped"].bundles == tuple(bundles)
    assert found["Front"].bundles == ({"CPU": 1},)


def test_request_options() -> None:
    """A server that says nothing is given up in time, and no proxy is asked in its place."""
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        environment(http_proxy="http://127.0.0.1:1", no_proxy=""),
    ):
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(requests.Timeout):
            api_server.JobsClient(address, {"X-Token": "mine"}, timeout_s=0.5, slowest_mb_per_s=1)
        connection, _ = silent.accept()
        with connection:
            request = connection.recv(4096)
    assert request.startswith(b"GET /api/version HTTP/1.1")
    assert b"X-Token: mine" in request


def test_token_lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In Ray's order: the variable, the file that a variable names, the file in the home folder."""
    for name in (authentication.MODE, *authentication.SOURCES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert authentication.find_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("home\n")
    (tmp_path / "named").write_text("named")

    def found() -> tuple[str, str] | None:
        token = authentication.find_token()
        return None if token is None else (token.value, token.source)

    assert found() == ("home", "~/.ray/auth_token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "named"))
    assert found() == ("named", "RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    assert found() == ("given", "RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert found() is None
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(AuthenticationError):
        authentication.find_token()


def test_node_label() -> None:
    from ray._raylet import RAY_NODE_ID_KEY

    assert node.NODE_LABEL == RAY_NODE_ID_KEY
    selector = {node.NODE_LABEL: f"in({'a' * 56},{'b' * 56})"}
    assert serve.schema.RayActorOptionsSchema(label_selector=selector).label_selector == selector


def test_haproxy_files() -> None:
    assert haproxy.FILE_VARIABLES | set(haproxy.PORT_VARIABLES) <= known_names(installed_folder())
    assert haproxy.has_binary(installed_folder(), {})
    assert not haproxy.has_binary(installed_folder(), {haproxy.BINARY_VARIABLE: "/none"})


def test_haproxy_statistics() -> None:
    from ray.serve._private.haproxy import HAProxyManager
    from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

    assert f"frontend {haproxy.FRONTEND[0]}\n" in HAPROXY_CONFIG_TEMPLATE
    actor = "SERVE_REPLICA::my app/1#Front#ab12"
    assert haproxy.server_name(actor) == HAProxyManager.get_safe_name(actor)
    rows = (
        "# pxname,svname,status,req_tot,",
        "http_frontend,FRONTEND,OPEN,7,",
        f"http-app,{haproxy.server_name(actor)},UP,,",
        "http-app,fallback,DOWN,,",
        "",
    )
    stats = haproxy.parse_stats("\n".join(rows))
    assert (stats.requests, stats.servers_up) == (7, {haproxy.server_name(actor)})
    with pytest.raises(OSError, match="no statistics"):
        haproxy.parse_stats("# pxname,svname,status,req_tot,\n")


def test_implied_settings() -> None:
    code = (
        "import json\n"
        "from ray.serve._private import constants\n"
        "found = {name: bool(value) for name, value in vars(constants).items() if name[:4] == 'RAY_'}\n"
        "print(json.dumps(found))"
    )

    def constants(name: str) -> dict[str, bool]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, check=True, env={**env, name: "1"}, capture_output=True, timeout=DEADLINE_S
        )
        found: dict[str, bool] = json.loads(done.stdout)
        return found

    for name in (OPTIMIZED_VARIABLE, HAPROXY_VARIABLE):
        found = constants(name)
        for other, value in effective({name: "1"}).items():
            assert found[other] == (value == "1"), other
