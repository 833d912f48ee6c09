"""A source, and what it redirects to, leads to public addresses unless the service allows others."""

import resource
import socket
import sys
import threading
from ipaddress import ip_address

import pytest

from tests.support.runs import output_of
from tests.video.support.remote_servers import OK, answering, fetch, forever
from vbench.video.errors import VideoError
from vbench.video.fetch import http_connection
from vbench.video.fetch.host_addresses import is_host_address
from vbench.video.fetch.public_addresses import PrivateSources, is_public

NOBODY = PrivateSources.of([])


def test_the_body_of_a_redirect_is_not_read() -> None:
    """It never ends; the redirect leads to the same host and port."""

    def answer(connection: socket.socket, ended: threading.Event) -> None:
        if len(server.asked) > 1:
            connection.sendall(OK)
            return
        forever(b"HTTP/1.1 302 Found\r\nLocation: /there.mp4\r\n\r\n", b"x" * 65536)(connection, ended)

    with answering(answer) as server:
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert fetch(server.url) == b"abc"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 50_000
        assert server.asked[1].startswith(b"GET /there.mp4 HTTP/1.1\r\n")


def test_redirects_are_counted() -> None:
    with answering(b"HTTP/1.1 302 Found\r\nLocation: /again.mp4\r\n\r\n") as server:
        with pytest.raises(VideoError, match="the server redirects more than 5 times in a row"):
            fetch(server.url)
        assert len(server.asked) == 6


PRIVATE_TARGETS = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "//127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
]


@pytest.mark.parametrize("target", PRIVATE_TARGETS)
@pytest.mark.parametrize("private", [None, PrivateSources.of(["127.0.0.0/8", "localhost"])])
def test_a_redirect_to_another_host_or_port_leads_to_public_addresses_only(
    target: str, private: PrivateSources | None
) -> None:
    with answering(OK) as inside:
        location = target.format(port=inside.port)
        with (
            answering(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode()) as outside,
            pytest.raises(VideoError, match="the server redirects to an address that is not public"),
        ):
            fetch(outside.url, private=private)
        assert inside.asked == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "s3://b/k", "", "gopher://h/"])
def test_a_redirect_keeps_to_http(target: str) -> None:
    with (
        answering(f"HTTP/1.1 301 Moved\r\nLocation: {target}\r\n\r\n".encode()) as server,
        pytest.raises(VideoError, match="redirects to something other than http"),
    ):
        fetch(server.url)


def test_private_addresses_are_read_from_only_if_the_service_was_deployed_so() -> None:
    with answering(OK) as server:
        by_name = server.url.replace("127.0.0.1", "localhost")
        for url in (server.url, by_name):
            with pytest.raises(VideoError, match=r"its host has no public address; .* in private_sources"):
                fetch(url, private=NOBODY)
        assert server.asked == []
        assert fetch(server.url, private=PrivateSources.of(["127.0.0.0/8"])) == b"abc"
        assert fetch(by_name, private=PrivateSources.of(["LOCALHOST"])) == b"abc"
        with pytest.raises(VideoError, match="no public address"):
            fetch(server.url, private=PrivateSources.of(["localhost", "10.0.0.0/8"]))


def test_the_address_that_is_checked_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is resolved again for each use could lead elsewhere the second time."""
    allowed, other = "127.0.0.1", "127.0.0.2"
    answers: list[str] = []

    def rebinding(_: str, port: int, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with (
        socket.create_server((allowed, 0)) as server,
        socket.create_server((other, server.getsockname()[1])) as elsewhere,
    ):
        target = http_connection.Target(host="rebind.example", port=server.getsockname()[1], secure=False)

        def connect() -> http_connection.DeadlineSocket:
            return http_connection.connect(
                target,
                lambda address, _: str(address) == allowed,
                http_connection.Deadline(5),
                connect_s=1,
                silence_s=1,
            )

        answers[:] = [allowed, other]
        connect().end()
        accepted, _ = server.accept()
        accepted.close()
        assert answers == [other]

        answers[:] = [other, allowed]
        with pytest.raises(http_connection.RefusedAddressError):
            connect()
        assert answers == [allowed]
        for listener in (server, elsewhere):
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()


ASK_A_PUBLIC_ADDRESS_OF_THIS_MACHINE = """
import select, socket
from vbench.video.errors import VideoError
from vbench.video.fetch.host_addresses import is_host_address
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.fetch.download import fetch_video
from vbench.video.types import VideoLimits

listener = socket.create_server(("", 7001), family=socket.AF_INET6, dualstack_ipv6=True)
said = set()
for host in ("93.184.215.14", "93.184.215.15", "93.184.216.7", "[2606:4700::1111]", "[::ffff:93.184.215.15]"):
    for port in (7001, 7002):
        try:
            with fetch_video(f"http://{host}:{port}/v", limits=VideoLimits(), timeout_s=5,
                         private=PrivateSources.of([])):
                print("read", host)
        except VideoError as error:
            said.add(str(error).partition(":7")[2][4:])
print(len(said), "has no public address" in said.pop())
print(select.select([listener], [], [], 0)[0])
"""


def test_a_public_address_of_this_machine_is_refused_without_a_connection() -> None:
    """What is said would tell which ports somebody listens at. One address is secondary, one only routed."""
    result = output_of(
        [
            *("unshare", "--user", "--map-root-user", "--net", "sh", "-ec"),
            "ip link set lo up; ip addr add 93.184.215.14/24 dev lo; ip addr add 93.184.215.15/24 dev lo;"
            "ip addr add 2606:4700::1111/128 dev lo; ip route add local 93.184.216.0/24 dev lo;"
            'exec "$0" -c "$1"',
            *(sys.executable, ASK_A_PUBLIC_ADDRESS_OF_THIS_MACHINE),
        ],
        timeout_s=60,
    )
    assert result == (0, "1 True\n[]\n")


def test_addresses_of_other_machines_are_not_own() -> None:
    assert is_host_address(socket.AF_INET, "127.0.0.1")
    assert is_host_address(socket.AF_INET6, "::1")
    assert not is_host_address(socket.AF_INET, "8.8.8.8")
    assert not is_host_address(socket.AF_INET6, "2606:4700::1111")


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(OK) as proxy, answering(OK) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert fetch(server.url) == b"abc"
        assert proxy.asked == []


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "198.18.0.1", "168.63.129.16", "192.0.0.192", "240.0.0.1"),
        *("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "2001::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::127.0.0.1"),
        "64:ff9b:1::1",
    ],
)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_what_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("entry", ["", "http://h", "10.0.0.0/33", "10.0.0.1/8", "a b", "1.2.3", "h:80"])
def test_private_sources_are_hosts_and_networks(entry: str) -> None:
    with pytest.raises(ValueError, match="is neither a host nor a network"):
        PrivateSources.of([entry])
