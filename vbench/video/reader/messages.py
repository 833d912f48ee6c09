"""Messages between a service and the process that reads a video for it: few types, in sealed memory.

That process parses strangers' files, so it is not trusted: its messages are unpickled with an allow-list of
types, from memory that it can no longer change.
"""

import fcntl
import io
import mmap
import os
import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

MESSAGE_BYTES = 4096
"""Size of the part of a message that travels through the socket; the rest is in shared memory."""

TYPES_FROM = ("vbench.video.types",)
"""Modules whose dataclasses may be received."""

VALUE_BYTES = 64 << 20
"""Largest message without its arrays: the plans of a million chunks are half of it."""

_ARRAY_TYPES = frozenset({"|b1", "|u1", "|i1", "<i4", "<i8", "<u4", "<u8", "<f4", "<f8"})

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """How to read one video."""

    options: dict[str, Any]
    """Arguments of ``Splitter``, except ``max_frames``, which the reader requests from the service."""
    cpu_s: int
    """CPU seconds for the index, and again for all chunks together."""
    stall_s: int
    """CPU seconds before the first packets of the index, and for each ``PROGRESS_PACKETS`` of them."""
    index_bytes: int
    """Address space while the index is read, in bytes."""
    chunk_bytes: int
    """Address space and written bytes while chunks are made."""


class ForeignTypeError(Exception):
    """A message contains something that no reader sends."""


def array_over(dtype: str, shape: tuple[int, ...], buffer: Any) -> npt.NDArray[Any]:
    """An array over memory that came with the message."""
    if dtype not in _ARRAY_TYPES:
        raise ForeignTypeError(f"an array of {dtype}")
    view = memoryview(buffer)
    flat = np.frombuffer(view, dtype) if view.nbytes else np.zeros(0, dtype)
    return flat.reshape(shape)


def ratio_of(numerator: int, denominator: int) -> Fraction:
    """A fraction that came with the message; ForeignTypeError if it has other parts than integers."""
    if type(numerator) is not int or type(denominator) is not int:
        raise ForeignTypeError("a fraction of something other than integers")
    return Fraction(numerator, denominator)


_CONSTRUCTORS: dict[str, Callable[..., Any]] = {"array_over": array_over, "ratio_of": ratio_of}


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Arrays and fractions by this module's own constructors, which check their arguments."""
        if type(value) is np.ndarray:
            plain = np.ascontiguousarray(value)
            return array_over, (plain.dtype.str, plain.shape, pickle.PickleBuffer(plain.data))
        if type(value) is Fraction:
            return ratio_of, (value.numerator, value.denominator)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Allow only data types, nothing that acts."""
        if module == __name__ and name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name]
        if module in TYPES_FROM and "." not in name:
            known = getattr(import_module(module), name, None)
            if isinstance(known, type) and is_dataclass(known) and known.__module__ == module:
                return known
        raise ForeignTypeError(f"{module}.{name}")


def send(connection: socket.socket, kind: str, value: Any = None) -> None:
    """Send a message; its value is in memory that nobody can change any more."""
    buffers: list[pickle.PickleBuffer] = []
    content = io.BytesIO()
    _Pickler(content, protocol=5, buffer_callback=buffers.append).dump(value)
    views = [content.getbuffer(), *(buffer.raw() for buffer in buffers)]
    handle = os.memfd_create("vbench-video", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for view in views:
            rest = view
            while rest:
                rest = rest[os.write(handle, rest) :]
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, SEALS)
        head = ":".join([kind, *(str(len(view)) for view in views)]).encode()
        if len(head) > MESSAGE_BYTES:
            raise ForeignTypeError(f"{kind} has {len(buffers)} arrays")
        socket.send_fds(connection, [head], [handle])
    finally:
        os.close(handle)


def receive(connection: socket.socket) -> tuple[str, Any] | None:
    """Kind and value of the next message, its arrays read-only and not copied; None at the end.

    Raises:
        ForeignTypeError: the message is not one that ``send`` sends.
    """
    head, handles, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 1)
    try:
        if not head:
            return None
        kind, *sizes = head.decode("ascii", "replace").split(":")
        if len(handles) != 1 or not sizes or not all(size.isdecimal() and len(size) < 19 for size in sizes):
            raise ForeignTypeError("a message without its value")
        lengths = [int(size) for size in sizes]
        if lengths[0] > VALUE_BYTES:
            raise ForeignTypeError("a value that is far too large")
        if fcntl.fcntl(handles[0], fcntl.F_GET_SEALS) & SEALS != SEALS:
            raise ForeignTypeError("a message that could still be changed")
        if os.fstat(handles[0]).st_size != sum(lengths):
            raise ForeignTypeError("a message whose size differs from what it announces")
        memory = memoryview(mmap.mmap(handles[0], sum(lengths), prot=mmap.PROT_READ))
    finally:
        for handle in handles:
            os.close(handle)
    parts, at = [], 0
    for length in lengths:
        parts.append(memory[at : at + length])
        at += length
    try:
        return kind, _Unpickler(io.BytesIO(parts[0]), buffers=parts[1:]).load()
    except ForeignTypeError:
        raise
    except Exception as error:  # a broken pickle may raise anything
        raise ForeignTypeError(f"a message that cannot be read: {type(error).__name__}") from error
