"""A port that is held is nobody else's, and the server it is held for can listen on it."""

import os
import socket
import subprocess
import sys

import pytest

from vbench.linux.netlink import netlink_socket
from vbench.linux.ports import held_port, port_is_free
from vbench.linux.tcp_connections import NETLINK_SOCK_DIAG, listening_sockets
from vbench.telemetry.listeners import PortWatch, owners, owns

HOST = "127.0.0.1"


def sharing(port: int, host: str = HOST) -> socket.socket:
    """Listens as Serve's proxy does."""
    server = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        server.setsockopt(socket.SOL_SOCKET, option, 1)
    server.bind((host, port))
    server.listen()
    return server


def listeners(port: int) -> set[int]:
    with netlink_socket(os.getpid(), NETLINK_SOCK_DIAG) as connection:
        return listening_sockets(connection, HOST, port)


def test_a_held_port_is_not_free_and_is_held_once() -> None:
    with held_port(HOST) as port:
        assert not port_is_free(HOST, port)
        with pytest.raises(OSError, match="in use"), held_port(HOST, port):
            pass
        with held_port(HOST) as other:
            assert other != port
    assert port_is_free(HOST, port)


def test_a_proxy_listens_on_a_held_port_and_gets_all_its_connections() -> None:
    with held_port(HOST) as port, sharing(port) as server:
        for _ in range(50):
            with socket.create_connection((HOST, port), timeout=5):
                server.accept()[0].close()


def test_a_port_on_which_a_proxy_listens_cannot_be_held() -> None:
    with held_port(HOST) as port:
        pass
    with sharing(port), pytest.raises(OSError, match="in use"), held_port(HOST, port):
        pass


def test_a_port_whose_old_connections_have_not_timed_out_can_be_held() -> None:
    with held_port(HOST) as port, sharing(port) as server:
        client = socket.create_connection((HOST, port), timeout=5)
        # Who closes first waits.
        server.accept()[0].close()
        client.close()
    with held_port(HOST, port) as again:
        assert again == port


@pytest.mark.parametrize("host", [HOST, "0.0.0.0"])
def test_all_that_listen_on_a_port_are_found_with_their_processes(host: str) -> None:
    with held_port(HOST) as port:
        assert listeners(port) == set()
        with sharing(port):
            (first,) = listeners(port)
            assert owns(os.getpid(), first)
            assert os.getpid() in owners(first)
            assert not owns(1, first)
        with held_port("0.0.0.0") as wide, sharing(wide, host):
            assert len(listeners(wide)) == 1


def test_another_address_or_port_is_not_this_one() -> None:
    with held_port("127.0.0.3") as port, sharing(port, "127.0.0.3"):
        assert listeners(port) == set()


def test_a_watch_tells_its_own_listener_from_others() -> None:
    with held_port(HOST) as port, sharing(port):
        own = PortWatch(HOST, [port], [os.getpid()])
        with own.running(60):
            pass
        strangers = PortWatch(HOST, [port], [])
        with strangers.running(60), sharing(port):
            pass
    (one,) = own.listeners()
    assert (one.own, one.present_percent) == (True, 100.0)
    assert [(each.own, each.pid) for each in strangers.listeners()] == [(False, os.getpid())]


def test_haproxy_which_shares_no_port_listens_on_one_that_is_held_for_it() -> None:
    def listen(port: int) -> socket.socket:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((HOST, port))
        server.listen()
        return server

    with held_port(HOST) as port, pytest.raises(OSError, match="in use"):
        listen(port)
    with held_port(HOST, by_address=True) as port, listen(port):
        with pytest.raises(OSError, match="in use"):
            listen(port)
        with pytest.raises(OSError, match="in use"), held_port(HOST, port):
            pass


def test_a_child_of_an_own_process_may_listen() -> None:
    """As HAProxy is a child of Serve's actor."""
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); input()"
    command = [sys.executable, "-uc", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        watch = PortWatch(HOST, [port], [os.getpid()])
        with watch.running(60):
            pass
        child.communicate("\n", timeout=20)
    assert [(one.own, one.pid, one.port) for one in watch.listeners()] == [(True, child.pid, port)]
