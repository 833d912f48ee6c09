"""Connections passed on: all that is said comes through, in both directions, to the end."""

import socket
import subprocess

from vbench.linux.port_forward import COMMAND

CONNECTIONS = 100
"""Enough for Python to look for garbage several times."""

DEADLINE_S = 20


def test_a_client_that_has_said_all_still_gets_its_answer() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen(
            [
                *COMMAND,
                str(listening.fileno()),
                *map(str, server.getsockname()),
            ],
            pass_fds=[listening.fileno()],
        ) as forwarding,
    ):
        try:
            server.settimeout(DEADLINE_S)
            asked = [_asked(listening.getsockname(), server) for _ in range(CONNECTIONS)]
            for number, (client, there) in enumerate(asked):
                with client, there:
                    there.sendall(b"%d" % number)
                    there.shutdown(socket.SHUT_WR)
                    assert client.makefile("rb").read() == b"%d" % number
        finally:
            forwarding.terminate()


def _asked(address: tuple[str, int], server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection over which a question came, and the word that it was the last one."""
    client = socket.create_connection(address, timeout=DEADLINE_S)
    client.sendall(b"question")
    client.shutdown(socket.SHUT_WR)
    there, _ = server.accept()
    there.settimeout(DEADLINE_S)
    assert there.makefile("rb").read() == b"question"
    return client, there
