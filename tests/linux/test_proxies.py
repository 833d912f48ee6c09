"""No request to a trial's own cluster takes a proxy, whatever the environment names."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import getproxies_environment, proxy_bypass_environment

import pytest

from vbench.clusters import ray_node
from vbench.clusters.attached.api import connect
from vbench.config.schema import RuntimeConfig
from vbench.errors import InputError
from vbench.linux.proxies import bypassed
from vbench.telemetry.object_store import StoreWatch

HTTP_NAMES = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "grpc_proxy",
)


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """A server's address, and what its clients said first; it answers nobody."""
    said: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(5)
                    said.append(client.recv(64))

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", said
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a proxy that every variable names has heard."""
    with listening() as (address, said):
        for name in HTTP_NAMES:
            monkeypatch.setenv(name, f"http://{address}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield said


def test_the_object_stores_channel_goes_straight_to_the_raylet(
    proxy: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vbench.telemetry.object_store.RPC_TIMEOUT_S", 2.0)
    with listening() as (address, said):
        host, port = address.split(":")
        watch = StoreWatch({"head": (host, int(port))})
        with pytest.raises(Exception, match=r"UNAVAILABLE|DEADLINE_EXCEEDED"):
            watch.sample()
        watch.close()
        assert said[0].startswith(b"PRI * HTTP/2"), "gRPC's own greeting, not a proxy's CONNECT"
    assert proxy == []


def test_an_attached_clusters_api_is_asked_without_a_proxy(proxy: list[bytes]) -> None:
    with listening() as (address, said), pytest.raises(InputError, match="cannot be reached"):
        connect(f"http://{address}")
    assert said[0].startswith(b"GET /api/"), "a path, and not the whole address that a proxy gets"
    assert proxy == []


def test_every_process_of_a_trial_is_told_to_go_straight_to_its_nodes(proxy: list[bytes]) -> None:
    env = bypassed(ray_node.node_environment(RuntimeConfig()), ["10.77.0.3"])
    for name, value in env.items():
        assert "proxy" not in name.lower() or value, name
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        proxies = getproxies_environment()
        for host in ("localhost", "127.0.0.1", "127.0.0.2", "10.77.0.3"):
            assert proxy_bypass_environment(host, proxies), host
        assert not proxy_bypass_environment("s3.example.com", proxies)
    assert proxy == []


def test_what_the_user_has_excepted_stays_excepted() -> None:
    env = bypassed({"no_proxy": "localhost, .corp", "no_grpc_proxy": "x"}, ["10.0.0.1"])
    assert env["no_proxy"].split(",") == ["localhost", ".corp", "127.0.0.1", "127.0.0.2", "::1", "10.0.0.1"]
    assert env["no_grpc_proxy"].startswith("x,localhost")
