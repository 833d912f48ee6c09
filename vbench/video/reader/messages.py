"""What passes between a service and the process that reads a video for it: sealed memory, and few types.

That process works on what strangers made, so it counts as theirs: what it sends is unpickled with an
allow-list of types, from memory that it can no longer change.
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
"""Of the part of a message that travels in the socket; what is larger is in memory beside it."""

TYPES_FROM = ("vbench.video.types", "vbench.video.split")
"""Modules whose dataclasses may be received."""

VALUE_BYTES = 64 << 20
"""Of a message without its arrays: a million chunks' plans are half of it."""

_ARRAY_TYPES = frozenset({"|b1", "|u1", "|i1", "<i4", "<i8", "<u4", "<u8", "<f4", "<f8"})

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How to read one video."""

    options: dict[str, Any]
    """Arguments of ``Splitter``; without ``most_frames``, for which the service is asked."""
    cpu_s: int
    """CPU time for the index, and again for all chunks together."""
    stall_s: int
    """CPU time for the index before its first packets, and for each ``STEP_PACKETS`` of them."""
    index_bytes: int
    """Address space while the index is read."""
    chunk_bytes: int
    """Address space and written bytes afterwards."""


class ForeignTypeError(Exception):
    """A message holds what no reader sends."""


def _array(dtype: str, shape: tuple[int, ...], buffer: Any) -> npt.NDArray[Any]:
    """An array over memory that came with the message: nothing of this process's own."""
    if dtype not in _ARRAY_TYPES:
        raise ForeignTypeError(f"an array of {dtype}")
    view = memoryview(buffer)
    flat = np.frombuffer(view, dtype) if view.nbytes else np.zeros(0, dtype)
    return flat.reshape(shape)


def _ratio(numerator: int, denominator: int) -> Fraction:
    if type(numerator) is not int or type(denominator) is not int:
        raise ForeignTypeError("a ratio of something else than integers")
    return Fraction(numerator, denominator)


_CONSTRUCTORS: dict[str, Callable[..., Any]] = {"_array": _array, "_ratio": _ratio}


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """Arrays and ratios by this module's own constructors, which check what they are given."""
        if type(value) is np.ndarray:
            plain = np.ascontiguousarray(value)
            return _array, (plain.dtype.str, plain.shape, pickle.PickleBuffer(plain.data))
        if type(value) is Fraction:
            return _ratio, (value.numerator, value.denominator)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a message may hold, and nothing that does anything."""
        if module == __name__ and name in _CONSTRUCTORS:
            return _CONSTRUCTORS[name]
        if module in TYPES_FROM and "." not in name:
            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and is_dataclass(found) and found.__module__ == module:
                return found
        raise ForeignTypeError(f"{module}.{name}")


def send(connection: socket.socket, kind: str, value: Any = None) -> None:
    """Send a message. Its value goes as memory that nobody can change any more."""
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
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, _SEALS)
        head = ":".join([kind, *(str(len(view)) for view in views)]).encode()
        if len(head) > MESSAGE_BYTES:
            raise ForeignTypeError(f"{kind} has {len(buffers)} arrays")
        socket.send_fds(connection, [head], [handle])
    finally:
        os.close(handle)


def receive(connection: socket.socket) -> tuple[str, Any] | None:
    """The next message, its arrays read-only and not copied; None at the end.

    Raises:
        ForeignTypeError: it is not as ``send`` sends it.
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
        if fcntl.fcntl(handles[0], fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise ForeignTypeError("a message that could still be changed")
        if os.fstat(handles[0]).st_size != sum(lengths):
            raise ForeignTypeError("a message of another size than it says")
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
    except Exception as error:  # what a broken pickle raises is anything
        raise ForeignTypeError(f"a message that cannot be read: {type(error).__name__}") from error
