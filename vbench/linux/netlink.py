"""Netlink requests to the kernel in the network namespace of a process.

A netlink socket stays in the namespace in which it was made, so one process can sample all hosts, from any
thread, at far less than a millisecond per request. Formats are those of linux/netlink.h.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager

from vbench.linux.namespaces import network_of

NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3

HEADER = struct.Struct("=IHHII")
"""Length, kind, flags, number, port."""

RECEIVED_BYTES = 1 << 18
TIMEOUT_S = 5.0


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
