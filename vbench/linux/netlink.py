"""Netlink requests to the kernel in the network namespace of a process, or many at a time in one's own.

A netlink socket stays in the namespace in which it was made, so one process can sample all hosts, from any
thread, at far less than a millisecond per request. Formats are those of linux/netlink.h.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from vbench.linux.namespaces import network_of

NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3

HEADER = struct.Struct("=IHHII")
"""Length, kind, flags, number, port."""

RECEIVED_BYTES = 1 << 18
TIMEOUT_S = 5.0

AT_ONCE = 16
"""Requests that are sent together: their responses must fit into the socket's buffer."""


@contextmanager
def netlink_socket(pid: int, protocol: int) -> Iterator[socket.socket]:
    """A socket for ``dump`` in the network namespace that a process is in, whatever becomes of the process.

    ``protocol``: a NETLINK_* number. OSError if the process has ended or may not be inspected.
    """
    with network_of(pid):
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    with closing(connection):
        connection.settimeout(TIMEOUT_S)
        yield connection


def dump(connection: socket.socket, kind: int, question: bytes, what: str) -> Iterator[bytes]:
    """The bodies of all messages in response to one request; ``kind`` is the message's type.

    OSError "the kernel does not report ``what``" if it refuses, TimeoutError if it does not respond.
    """
    size = HEADER.size + len(question)
    connection.send(HEADER.pack(size, kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + question)
    while True:
        data = connection.recv(RECEIVED_BYTES)
        offset = 0
        while offset < len(data):
            length, answer, _, _, _ = HEADER.unpack_from(data, offset)
            if answer == NLMSG_DONE:
                return
            body = data[offset + HEADER.size : offset + length]
            if answer == NLMSG_ERROR:
                (number,) = struct.unpack_from("=i", body)
                raise OSError(-number, f"the kernel does not report {what}")
            yield body
            offset += (length + 3) & ~3


def send_all(requests: Sequence[bytes], protocol: int) -> None:
    """Send whole requests, each of which asks for an acknowledgement, in this process's network namespace.

    OSError with the kernel's reason if it refuses one, TimeoutError if it does not respond.
    """
    with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)) as connection:
        connection.settimeout(TIMEOUT_S)
        for start in range(0, len(requests), AT_ONCE):
            together = requests[start : start + AT_ONCE]
            connection.send(b"".join(together))
            left = len(together)
            while left:
                left -= _acknowledged(connection.recv(RECEIVED_BYTES))


def _acknowledged(data: bytes) -> int:
    """How many requests these responses acknowledge; OSError for one that was refused."""
    offset = count = 0
    while offset < len(data):
        length, kind, _, _, _ = HEADER.unpack_from(data, offset)
        if kind == NLMSG_ERROR:
            (number,) = struct.unpack_from("=i", data, offset + HEADER.size)
            if number:
                raise OSError(-number, f"the kernel refuses a request: {os.strerror(-number)}")
            count += 1
        offset += (length + 3) & ~3
    return count
