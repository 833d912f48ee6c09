"""Forks a reader per video for a service: ``python -m vbench.video.reader.server DESCRIPTOR``.

This process has imported everything that reading needs, so a fork takes only milliseconds. A fork reads one
video within limits on memory, CPU time and written bytes, and exits. When the service ends, its side of the
socket closes; then this process and its forks end.
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

# NumPy and PyAV import these on first use, which would be in each fork: a fifth of a reader's time.
import av.subtitles.stream  # noqa: F401
import numpy.ma  # noqa: F401

from vbench.video import errors
from vbench.video.reader.messages import ReadRequest, send
from vbench.video.split import Splitter
from vbench.video.types import VideoInfo

PR_SET_PDEATHSIG = 1
COPIED_BYTES_PER_CPU_S = 50_000_000
"""Bytes of the file per CPU second that reading all chunks may take beyond ``ReadRequest.cpu_s``."""
MAX_OVERLAP = 4
"""Samples may share bytes, but all samples together may have at most this many times the file's bytes."""


def main() -> None:
    """Fork for each video that the service sends, and report how each fork ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # this process ends when the service does
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
                _report(connection, "ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
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
            _report(connection, "started", None, handle)


def _report(connection: socket.socket, kind: str, value: Any, handle: int | None = None) -> None:
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
        _report(connection, "failed", describe_error(error))
    os._exit(0)


def describe_error(error: BaseException) -> tuple[str, str]:
    """The name of the error's class, as the service knows it, and its sentence."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(error, errors.VideoTooLargeError):
        if _is_memory(cause):
            return "MemoryError", ""
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, ValueError):  # VideoError and its kinds, and options that do not suit the video
        kind = type(error).__name__
        return (kind if hasattr(errors, kind) else "VideoError"), str(error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error  # without its path
    return "RuntimeError", f"{type(error).__name__}: {reason}"


def _is_memory(error: BaseException) -> bool:
    """Whether the process is out of memory; loading a library or starting a thread may report it too."""
    if isinstance(error, ImportError | RuntimeError):
        words = str(error).lower()
        return any(word in words for word in ("failed to map", "allocate memory", "can't start new thread"))
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in (errno.ENOMEM, errno.EFBIG)


def _read(connection: socket.socket, path: Path) -> None:
    # The request comes from the service itself, which this process belongs to.
    request: ReadRequest = pickle.loads(connection.recv(1 << 16))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request.chunk_bytes, request.chunk_bytes))
    resource.setrlimit(resource.RLIMIT_AS, (request.index_bytes, request.chunk_bytes))
    until_s = time.process_time() + request.cpu_s

    def on_progress() -> None:
        _allow_cpu(min(request.stall_s, until_s - time.process_time()))

    on_progress()

    def max_frames(info: VideoInfo) -> int | None:
        _allow_cpu(until_s - time.process_time())  # what remains depends on the request
        send(connection, "info", info)
        answer = connection.recv(64).decode()
        return int(answer) if answer.isdecimal() else None

    with Splitter(path, **request.options, max_frames=max_frames, on_progress=on_progress) as splitter:
        _check_sizes(splitter)
        send(
            connection,
            "planned",
            (splitter.info, splitter.sampled_pts, _packed(splitter), splitter.coded_bytes),
        )
        resource.setrlimit(resource.RLIMIT_AS, (request.chunk_bytes, request.chunk_bytes))
        _allow_cpu(request.cpu_s + splitter.info.size_bytes / COPIED_BYTES_PER_CPU_S)
        for chunk in splitter:
            if not len(chunk.sampled_pts):  # the service makes it from the plan
                continue
            if not connection.recv(64):
                return
            send(connection, "chunk", chunk)
            del chunk


def _packed(splitter: Splitter) -> list[tuple[float, float, int]]:
    """Start, end and number of sampled frames of each chunk: a million chunks must not be a million
    arrays."""
    return [(part.start_s, part.end_s, len(part.sampled_pts)) for part in splitter.plan]


def _check_sizes(splitter: Splitter) -> None:
    announced, size = splitter.total_coded_bytes, splitter.info.size_bytes
    if announced > MAX_OVERLAP * size:
        raise errors.VideoError(
            f"{splitter.info.path} has a damaged index: it announces {announced} bytes of pictures, but the "
            f"file has {size} bytes"
        )


def _allow_cpu(seconds: float) -> None:
    until_s = math.ceil(time.process_time() + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
