"""Finds free TCP ports, and reserves one for a server that starts later."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_ports(host: str, count: int) -> list[int]:
    """Different TCP ports of ``host`` on which nothing listens now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for listener in sockets:
            listener.bind((host, 0))
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()


def port_is_free(host: str, port: int) -> bool:
    """Whether ``port`` can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def port_taken(host: str, port: int) -> str:
    """The error message for a configured port of the service that is in use."""
    return (
        f"cluster.http_port={port} is in use on {host}; use cluster.http_port=0 to let the kernel choose a"
        " free port, or stop the program that listens there."
    )


@contextmanager
def held_port(host: str, port: int = 0, *, by_address: bool = False) -> Iterator[int]:
    """Hold a TCP port of ``host`` while the block runs; 0: one that the kernel chooses.

    Nobody else gets the port from the kernel meanwhile, and nobody else can hold it. A server of the same
    user that sets SO_REUSEPORT can listen on it, as Serve's proxy does. With ``by_address`` one that sets
    SO_REUSEADDR can too, as HAProxy does, and until it listens someone else can hold the port the same way.
    OSError if the port is taken, also by a server that would share it.
    """
    with socket.socket() as holder:
        try:
            holder.bind((host, port))
        except OSError:
            # Connections of an earlier server that have not timed out yet are no obstacle; a listener is.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((host, port))
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        # Only now, so that the bind was exclusive: of two that want one port, one fails.
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(by_address))
        yield holder.getsockname()[1]
