"""A video is read in a process of its own: to the same chunks, within limits, and only while it is wanted."""

import io
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.waiting import came_true, until
from tests.video.support.clips import ClipStore
from vbench.linux.procfs import TAG_VARIABLE
from vbench.video.child_environment import child_environment
from vbench.video.errors import StoppedError, VideoError, VideoTooLargeError
from vbench.video.ffmpeg.executable import ffmpeg_path
from vbench.video.ffmpeg.process import FFmpegProcess
from vbench.video.reader import messages, pool
from vbench.video.reader.messages import ForeignTypeError, receive, send
from vbench.video.reader.pool import ReaderServer
from vbench.video.reader.process import ReaderProcess
from vbench.video.split import Splitter
from vbench.video.types import VideoInfo, VideoLimits

CHUNK_BYTES = 100_000_000


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderServer]:
    os.environ["AWS_SECRET_ACCESS_KEY"] = "TOPSECRET"
    server = ReaderServer()
    server.start()
    yield server
    server.close()
    del os.environ["AWS_SECRET_ACCESS_KEY"]


def options(**changes: object) -> dict[str, object]:
    return {"fps": Fraction(5), "chunk_s": Fraction(1), "limits": VideoLimits()} | changes


def max_frames(info: VideoInfo) -> int:
    return 2 if info.frames else 0


def split(
    readers: ReaderServer, path: Path, stop: threading.Event | None = None, **changes: object
) -> list[bytes]:
    with readers.split(
        path,
        options(**changes),
        max_frames=max_frames,
        chunk_bytes=CHUNK_BYTES,
        stop=stop or threading.Event(),
    ) as video:
        return [chunk.payload.tobytes() for chunk in video]


def running_children(pid: int) -> list[psutil.Process]:
    """Its children, but for those that have ended and wait to be reaped; a video does not wait for that."""
    return [child for child in psutil.Process(pid).children() if _runs(child)]


@pytest.mark.parametrize("name", ["constant", "open_gop_ts", "variable_mkv", "vp9"])
def test_the_chunks_are_those_of_a_splitter_here(readers: ReaderServer, clip: ClipStore, name: str) -> None:
    path = clip(name)
    with (
        Splitter(path, **options(), max_frames=max_frames) as here,  # type: ignore[arg-type]
        readers.split(
            path, options(), max_frames=max_frames, chunk_bytes=CHUNK_BYTES, stop=threading.Event()
        ) as there,
    ):
        assert there.info == here.info
        assert (there.sampled_pts == here.sampled_pts).all()
        assert there.chunk_count == here.chunk_count
        assert [part.start_s for part in there.plan] == [part.start_s for part in here.plan]
        assert there.coded_bytes == here.coded_bytes
        for mine, theirs in zip(here, there, strict=True):
            assert theirs.info == here.info
            assert (mine.payload == theirs.payload).all()
            assert (mine.sampled_pts == theirs.sampled_pts).all()
            assert (mine.index, mine.end_s, mine.pts_shift, mine.packets) == (
                theirs.index,
                theirs.end_s,
                theirs.pts_shift,
                theirs.packets,
            )


def test_what_is_wrong_is_said_as_by_a_splitter_here(
    readers: ReaderServer, tmp_path: Path, clip: ClipStore
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all\n" * 100)
    short = tmp_path / "short.mp4"
    short.write_bytes(clip("constant").read_bytes()[:-5000])
    for path, changes in (
        (text, {}),
        (short, {}),
        (clip("constant"), {"limits": VideoLimits(max_packets=10)}),
        (clip("constant"), {"chunk_s": Fraction(0)}),
    ):
        with pytest.raises(ValueError, match=r"\w") as here:
            list(Splitter(path, **options(**changes)))  # type: ignore[arg-type]
        with pytest.raises(VideoError) as there:
            split(readers, path, **changes)
        assert str(there.value) == str(here.value)
        if isinstance(here.value, VideoError):
            assert type(there.value) is type(here.value)


def claiming(clip: Path, samples: int, size: int) -> bytes:
    """The clip with an index that claims so many samples of so many bytes each, one after the other, in an
    ``mdat`` box that reaches to the end of the file."""
    data = clip.read_bytes()

    def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
        at = 0
        while at < len(content):
            length, kind = struct.unpack(">I4s", content[at : at + 8])
            yield kind, content[at + 8 : at + length]
            at += length

    def rebuilt(content: bytes, start: int) -> bytes:
        out = b""
        for kind, old in boxes(content):
            body = old
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                body = rebuilt(old, start)
            elif kind == b"stsz":
                body = struct.pack(">III", 0, size, samples)
            elif kind == b"stts":
                body = struct.pack(">IIII", 0, 1, samples, 512)
            elif kind == b"stsc":
                body = struct.pack(">IIIII", 0, 1, 1, samples, 1)
            elif kind == b"stco":
                body = struct.pack(">III", 0, 1, start)
            elif kind in (b"ctts", b"edts", b"stss"):
                continue
            out += struct.pack(">I4s", 8 + len(body), kind) + body
        return out

    head = b"".join(
        struct.pack(">I4s", 8 + len(body), kind) + body for kind, body in boxes(data) if kind != b"mdat"
    )
    (samples_data,) = (body for kind, body in boxes(data) if kind == b"mdat")
    start = len(rebuilt(head, 0)) + 8
    return rebuilt(head, start) + struct.pack(">I4s", 0, b"mdat") + samples_data


@pytest.fixture
def slow(clip: ClipStore, tmp_path: Path) -> Path:
    """A clip behind ten million empty boxes, each of which has to be read."""
    path = tmp_path / "slow.mp4"
    path.write_bytes(10_000_000 * struct.pack(">I4s", 8, b"free") + clip("constant").read_bytes())
    return path


def test_reading_is_bounded_in_cpu_time(readers: ReaderServer, slow: Path) -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(VideoTooLargeError, match=r"slow.mp4 takes too much CPU time to read: 1 s"):
        split(readers, slow, limits=VideoLimits(max_read_s=1))
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_reading_that_does_not_get_on_is_given_up_early(readers: ReaderServer, slow: Path) -> None:
    began = time.monotonic()
    with pytest.raises(VideoTooLargeError, match=r"and 1 s without progress"):
        split(readers, slow, limits=VideoLimits(max_stall_s=1))
    assert time.monotonic() - began < 30


def test_reading_that_gets_on_may_take_longer(readers: ReaderServer, clip: ClipStore, tmp_path: Path) -> None:
    """90,000 packets take more CPU time than is allowed for 10,000, and all of it is counted."""
    path = tmp_path / "long.mp4"
    command = [ffmpeg_path(), "-v", "error", "-stream_loop", "749", "-i", str(clip("constant")), "-c", "copy"]
    subprocess.run([*command, str(path)], check=True, timeout=60)
    long_chunks = {"chunk_s": Fraction(10_000), "fps": Fraction(1, 1000)}
    assert split(readers, path, limits=VideoLimits(max_stall_s=3), **long_chunks)
    with pytest.raises(VideoTooLargeError, match=r"takes too much CPU time to read: 1 s"):
        split(readers, path, limits=VideoLimits(max_read_s=1), **long_chunks)


@pytest.fixture
def sparse(tmp_path: Path) -> Path:
    """Three pictures over 20,000 s."""
    path = tmp_path / "sparse.mp4"
    made = ["-f", "lavfi", "-i", "color=size=64x64:rate=1:duration=3", "-vf", "setpts=N*10000/TB"]
    command = [ffmpeg_path(), "-v", "error", *made, "-fps_mode", "passthrough", "-enc_time_base", "1/100"]
    subprocess.run([*command, "-c:v", "libx264", "-bf", "0", str(path)], check=True, timeout=60)
    return path


def test_a_reader_is_asked_only_for_chunks_that_have_frames(
    readers: ReaderServer, sparse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    ask = ReaderProcess.send

    def noted(reader: ReaderProcess, words: bytes) -> None:
        asked.append(words)
        ask(reader, words)

    monkeypatch.setattr(ReaderProcess, "send", noted)
    with readers.split(
        sparse, options(), max_frames=max_frames, chunk_bytes=CHUNK_BYTES, stop=threading.Event()
    ) as video:
        chunks = list(video)
    with Splitter(sparse, **options(), max_frames=max_frames) as here:  # type: ignore[arg-type]
        expected = [(one.index, one.start_s, one.end_s, one.sampled_pts.tolist()) for one in here]
    assert [(one.index, one.start_s, one.end_s, one.sampled_pts.tolist()) for one in chunks] == expected
    assert len(chunks) == video.chunk_count == 20_001
    assert asked.count(b"next") == 3


def test_many_chunks_without_a_frame_are_refused(readers: ReaderServer, sparse: Path) -> None:
    with pytest.raises(
        VideoTooLargeError,
        match=r"would have 200001 chunks of 0.1 s, 199998 of them without a sampled frame.*chunk_s",
    ):
        split(readers, sparse, chunk_s=Fraction(1, 10))


def test_all_chunks_together_are_bounded_in_cpu_time(readers: ReaderServer, tmp_path: Path) -> None:
    """One GOP of 3000 pictures in chunks of a picture each: four million packets in all."""
    path = tmp_path / "one_gop.mp4"
    made = ["-f", "lavfi", "-i", "color=size=64x64:rate=30:duration=100", "-g", "3000", "-bf", "0"]
    command = [ffmpeg_path(), "-v", "error", *made, "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*command, str(path)], check=True, timeout=60)
    with pytest.raises(VideoTooLargeError, match=r"takes too much CPU time to split: .*; use longer chunks"):
        split(readers, path, fps=Fraction(30), chunk_s=Fraction(1, 30), limits=VideoLimits(max_read_s=1))


def test_reading_is_bounded_in_memory(
    readers: ReaderServer, clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "large.mp4"
    path.write_bytes(claiming(clip("constant"), 2, 400_000_000))
    os.truncate(path, 810_000_000)
    monkeypatch.setattr(pool, "INDEX_BYTES", 400_000_000)
    with pytest.raises(
        VideoTooLargeError, match=r"large.mp4 takes more memory to read than a reader may have"
    ):
        split(readers, path)


def test_a_reader_ends_when_nobody_wants_the_video_any_more(readers: ReaderServer, slow: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        split(readers, slow, stop)
    assert time.monotonic() - began < 3
    server = readers._process
    assert server is not None
    until(lambda: psutil.Process(server.pid).children() == [], "the server has reaped the reader")


def test_a_reader_that_crashes_fails_its_video_alone(readers: ReaderServer, clip: ClipStore) -> None:
    server = readers._process
    assert server is not None
    with readers.split(
        clip("constant"), options(), max_frames=max_frames, chunk_bytes=CHUNK_BYTES, stop=threading.Event()
    ) as video:
        (reader,) = running_children(server.pid)
        reader.send_signal(signal.SIGSEGV)
        with pytest.raises(VideoError, match="the process that read it was ended by signal 11"):
            list(video)
    assert split(readers, clip("constant"))


def test_a_server_that_was_lost_is_started_anew(readers: ReaderServer, clip: ClipStore) -> None:
    server = readers._process
    assert server is not None
    server.kill()
    server.wait()
    assert split(readers, clip("constant"))


def test_readers_get_nothing_secret(
    readers: ReaderServer, clip: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with readers.split(
        clip("constant"), options(), max_frames=max_frames, chunk_bytes=CHUNK_BYTES, stop=threading.Event()
    ):
        server = readers._process
        assert server is not None
        for process in (psutil.Process(server.pid), *running_children(server.pid)):
            assert "TOPSECRET" not in process.environ().values()
    for name in ("AWS_SESSION_TOKEN", "RAY_AUTH_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS", "FFREPORT"):
        monkeypatch.setenv(name, "TOPSECRET")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert "TOPSECRET" not in child_environment().values()
    assert child_environment()["CUDA_VISIBLE_DEVICES"] == "1"
    monkeypatch.setenv(TAG_VARIABLE, "trial")
    assert child_environment()[TAG_VARIABLE] == "trial", "or a trial could not end what it started"
    with FFmpegProcess(
        [sys.executable, "-c", "import os; print(os.environ)"],
        subject="x",
        timeout_s=20,
        threads=1,
        memory_bytes=None,
    ) as process:
        said = bytearray(100_000)
        said = said[: process.read_into(memoryview(said))]
    assert b"PATH" in said
    assert b"TOPSECRET" not in said


def test_readers_do_not_outlive_their_service(clip: ClipStore, slow: Path) -> None:
    program = (
        "import sys, threading; from fractions import Fraction; from pathlib import Path\n"
        "from vbench.video.reader.pool import ReaderServer; from vbench.video.types import VideoLimits\n"
        "options = {'fps': Fraction(1), 'chunk_s': Fraction(1), 'limits': VideoLimits()}\n"
        "split = ReaderServer().split(Path(sys.argv[1]), options, max_frames=lambda _: None,\n"
        "                             chunk_bytes=1, stop=threading.Event())\n"
        "split.__enter__()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(slow)]) as service:
        family: list[psutil.Process] = []

        def read() -> bool:
            family[:] = psutil.Process(service.pid).children(recursive=True)
            return len(family) == 2

        until(read, "a server and a reader run", 20)
        service.kill()
    assert came_true(lambda: not any(map(_runs, family)), 10)


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch /tmp/evil",)


class Made:
    def __init__(self, by: object, *arguments: object) -> None:
        self.made = by, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.made


def test_a_reader_that_was_taken_over_can_send_data_alone() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        value = (Fraction(1, 3), np.arange(5), np.zeros(0, np.uint8), VideoLimits())
        send(theirs, "planned", value)
        message = receive(ours)
        assert message is not None
        kind, (third, numbers, nothing, limits) = message
        assert (kind, third, numbers.tolist(), nothing.size, limits) == (
            *("planned", Fraction(1, 3)),
            *([0, 1, 2, 3, 4], 0, VideoLimits()),
        )
        for evil in (
            *(Evil(), subprocess.Popen, io.BytesIO, ReaderServer, os.system, np.dtype("O")),
            *(
                Made(messages.ratio_of, "1e999999999", 1),
                Made(messages.array_over, "|O", (1,), b"12345678"),
            ),
            *(Made(messages.array_over, "|u1", (1 << 40,), b""), Made(np.empty, 1000), np.array([None])),
        ):
            send(theirs, "planned", evil)
            with pytest.raises(ForeignTypeError):
                receive(ours)
        content = pickle.dumps(1)
        for head, seals in (
            (f"planned:{len(content) + 1}", True),
            (f"planned:{len(content)}", False),
            ("x", True),
        ):
            handle = os.memfd_create("x", os.MFD_ALLOW_SEALING)
            os.write(handle, content)
            if seals:
                messages.fcntl.fcntl(handle, messages.fcntl.F_ADD_SEALS, messages.SEALS)
            socket.send_fds(theirs, [head.encode()], [handle])
            os.close(handle)
            with pytest.raises(ForeignTypeError):
                receive(ours)
        theirs.send(b"planned:5")
        with pytest.raises(ForeignTypeError):
            receive(ours)
