"""Reads videos for a service in processes of their own: ``python -m vbench.video.reader.server DESCRIPTOR``.

It has loaded once what reading takes, and forks for each video, which takes milliseconds. A fork reads one
video within limits of memory, CPU time and written bytes, and ends. When the service ends, its side of the
socket closes; this process ends, and takes its forks with it.
"""

import ctypes
import errno
import math
import os
import pickle
import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

# NumPy and PyAV import these when they first need them, which is in each fork: a fifth of a reader's time.
import av.subtitles.stream  # noqa: F401
import numpy.ma  # noqa: F401

from vbench.video import errors
from vbench.video.reader.messages import Order, send
from vbench.video.split import Splitter
from vbench.video.types import VideoInfo

PR_SET_PDEATHSIG = 1
COPIED_BYTES_PER_CPU_S = 50_000_000
"""For each so many bytes of the file, reading all chunks may take another second of CPU time."""
MOST_OVERLAP = 4
"""Samples of a file may share bytes, but not so often that all together are this many times the file."""


def main() -> None:
    """Fork for each video that the service sends, and tell how each fork ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what ends the service ends this
    control = socket.socket(fileno=int(sys.argv[1]))
    libc = ctypes.CDLL(None, use_errno=True)
    forks: dict[int, tuple[int, socket.socket]] = {}
    poller = select.poll()
    poller.register(control, select.POLLIN)
    while True:
        for ready, _ in poller.poll():
            if ready in forks:
                pid, connection = forks.pop(ready)
                poller.unregister(ready)
                os.close(ready)
                _tell(connection, "ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                connection.close()
                continue
            head, handles, _, _ = socket.recv_fds(control, 16, 2)
            if not head:
                return
            connection, video = socket.socket(fileno=handles[0]), handles[1]
            pid = os.fork()
            if pid == 0:
                control.close()
                _fork_main(libc, connection, video)
            os.close(video)
            handle = os.pidfd_open(pid)
            forks[handle] = pid, connection
            poller.register(handle, select.POLLIN)
            _tell(connection, "started", None, handle)


def _tell(connection: socket.socket, kind: str, value: Any, handle: int | None = None) -> None:
    try:
        if handle is None:
            send(connection, kind, value)
        else:
            socket.send_fds(connection, [kind.encode()], [handle])
    except OSError:
        pass  # the service is no longer interested


def _fork_main(libc: Any, connection: socket.socket, video: int) -> None:
    """Read one video, and end."""
    parent = os.getppid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    try:
        _read(connection, Path(f"/proc/self/fd/{video}"))
    except BrokenPipeError:
        pass  # the service is no longer interested
    except BaseException as error:  # noqa: BLE001 - the service gives it to whoever asked
        _tell(connection, "failed", _named(error))
    os._exit(0)


def _named(error: BaseException) -> tuple[str, str]:
    """The name of the error's kind, as the service knows it, and its sentence."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(error, errors.VideoTooLargeError):
        if _is_memory(cause):
            return "MemoryError", ""
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError):  # VideoError and its kinds, and options that do not suit the video
        kind = type(error).__name__
        return (kind if hasattr(errors, kind) else "VideoError"), str(error)
    said = error.strerror if isinstance(error, OSError) and error.strerror else error  # without its path
    return "RuntimeError", f"{type(error).__name__}: {said}"


def _is_memory(error: BaseException) -> bool:
    """Whether a process says so that has no memory left, also where the loader or a thread's start does."""
    if isinstance(error, ImportError | RuntimeError):
        words = str(error).lower()
        return any(word in words for word in ("failed to map", "allocate memory", "can't start new thread"))
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in (errno.ENOMEM, errno.EFBIG)


def _read(connection: socket.socket, path: Path) -> None:
    # The order comes from the service itself, which this process belongs to.
    order: Order = pickle.loads(connection.recv(1 << 16))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (order.chunk_bytes, order.chunk_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (order.index_bytes, order.chunk_bytes))
    until_s = time.process_time() + order.cpu_s

    def got_on() -> None:
        _allow_cpu(min(order.stall_s, until_s - time.process_time()))

    got_on()

    def most_frames(info: VideoInfo) -> int | None:
        _allow_cpu(until_s - time.process_time())  # what is left to do depends on the request
        send(connection, "info", info)
        answer = connection.recv(64).decode()
        return int(answer) if answer.isdecimal() else None

    with Splitter(path, **order.options, most_frames=most_frames, got_on=got_on) as splitter:
        _check_sizes(splitter)
        send(
            connection, "planned", (splitter.info, splitter.targets, _packed(splitter), splitter.coded_bytes)
        )
        resource.setrlimit(resource.RLIMIT_AS, (order.chunk_bytes, order.chunk_bytes))
        _allow_cpu(order.cpu_s + splitter.info.size_bytes / COPIED_BYTES_PER_CPU_S)
        for chunk in splitter:
            if not len(chunk.targets):  # the service makes it from the plan
                continue
            if not connection.recv(64):
                return
            send(connection, "chunk", chunk)
            del chunk


def _packed(splitter: Splitter) -> list[tuple[float, float, int]]:
    """Of each chunk: start, end, and how many targets; a million chunks are no million arrays."""
    return [(part.start_s, part.end_s, len(part.targets)) for part in splitter.plan]


def _check_sizes(splitter: Splitter) -> None:
    claimed, size = splitter.coded_bytes_in_all, splitter.info.size_bytes
    if claimed > MOST_OVERLAP * size:
        raise errors.VideoError(
            f"{splitter.info.path} has {size} bytes, and its index claims {claimed} bytes of pictures: "
            "the index is damaged"
        )


def _allow_cpu(seconds: float) -> None:
    until_s = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
