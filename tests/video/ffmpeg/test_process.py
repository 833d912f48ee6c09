"""One run of FFmpeg stays within its bounds, ends whatever happens, and says whose fault its end was."""

import contextlib
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from tests.video.support.clips import ClipStore
from vbench.video.errors import DecoderKilledError, StoppedError, VideoError, VideoTimeoutError
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version
from vbench.video.ffmpeg.process import FFmpegProcess
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import probe
from vbench.video.split import Splitter
from vbench.video.types import Chunk, FrameGeometry

OTHERS: set[int] = set()
"""Children that were there when the test began: other tests may have a Ray cluster among them."""


@pytest.fixture(autouse=True)
def _others_are_known() -> None:
    OTHERS.clear()
    OTHERS.update(child.pid for child in psutil.Process().children())


def children() -> list[psutil.Process]:
    """Programs that the test started and did not reap, but for Python's own helpers."""
    started = [child for child in psutil.Process().children() if child.pid not in OTHERS]
    found = []
    for child in started:
        with contextlib.suppress(psutil.NoSuchProcess):  # another thread has reaped it meanwhile
            if "python" not in child.name():
                found.append(child)
    return found


def test_the_threads_of_a_decode_come_from_its_cpus_and_not_from_the_machines(clip: ClipStore) -> None:
    frames = decode_video(clip("constant"), fps=Fraction(30), threads=1, timeout_s=60, batch_frames=1)
    next(frames)

    (running,) = children()
    tasks = running.num_threads()
    command = running.cmdline()
    frames.close()

    assert tasks < 10  # one each for decoder, filters and scaler, and FFmpeg's own
    assert command[command.index("-cpucount") + 1] == "1"


def run(*command: str, timeout_s: float = 60) -> FFmpegProcess:
    """A program run as FFmpeg is."""
    return FFmpegProcess(command, subject="clip", timeout_s=timeout_s, threads=1, memory_bytes=1 << 40)


@pytest.mark.parametrize("timeout_s", [3e6, 1e300, float("inf")])
def test_a_timeout_past_what_the_kernel_counts_is_as_good_as_none(timeout_s: float) -> None:
    with run("sh", "-c", "sleep 0.3; printf abc", timeout_s=timeout_s) as running:
        got = bytearray(3)
        count = running.read_into(memoryview(got))
        running.finish()

    assert (count, got) == (3, b"abc")


def test_limits_that_this_process_has_itself_are_kept_and_not_passed() -> None:
    program = (
        "import resource\n"
        "from vbench.video.ffmpeg.process import FFmpegProcess\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (50, 50))\n"
        "got = bytearray(100)\n"
        "with FFmpegProcess(['sh', '-c', 'sleep 0.3; ulimit -Ht; ulimit -Hv; ulimit -c'], subject='clip',\n"
        "                   timeout_s=float('inf'), threads=1, memory_bytes=1 << 40) as running:\n"
        "    count = running.read_into(memoryview(got))\n"
        "    running.finish()\n"
        "print(got[:count].decode().split())\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str(["50", str(4 << 20), "0"])


def test_a_child_whose_set_up_fails_is_reaped() -> None:
    """Its limit of memory does not fit the kernel's integers."""
    gc.collect()  # what earlier tests left open is closed now, and not between the two looks
    opened = set(Path("/proc/self/fd").iterdir())

    with pytest.raises(OverflowError):
        FFmpegProcess(["sleep", "1000"], subject="clip", timeout_s=60, threads=1, memory_bytes=1 << 70)

    assert children() == []
    assert set(Path("/proc/self/fd").iterdir()) == opened


def test_an_ffmpeg_that_is_killed_is_no_fault_of_the_video(clip: ClipStore) -> None:
    frames = decode_video(clip("constant"), fps=Fraction(1000), threads=1, timeout_s=60, batch_frames=1)
    next(frames)
    (running,) = children()

    running.suspend()
    running.kill()

    with pytest.raises(DecoderKilledError, match="memory"):
        list(frames)
    assert not issubclass(DecoderKilledError, VideoError)
    assert children() == []


def test_a_program_that_is_ended_by_the_cpu_limits_signal_took_too_long() -> None:
    with run("sleep", "1000") as running:
        children()[0].send_signal(signal.SIGXCPU)
        with pytest.raises(VideoTimeoutError, match="within 60 s"):
            running.finish()


@pytest.mark.parametrize("reaction", ["", "trap 'exit 255' XCPU; "])
def test_cpu_time_that_is_used_up_is_a_timeout_however_the_program_ends(reaction: str) -> None:
    with run("bash", "-c", f"{reaction}while :; do :; done", timeout_s=20) as running:
        (child,) = children()
        resource.prlimit(child.pid, resource.RLIMIT_CPU, (1, 2))
        running._cpu_s = 1  # as if it had been started under this limit
        with pytest.raises(VideoTimeoutError):
            running.finish()


def test_a_long_filter_leaves_no_file_where_the_process_is_killed(clip: ClipStore, tmp_path: Path) -> None:
    info = probe(clip("constant"))
    program = (
        "import sys, time, numpy, ffmpeg\n"
        "from vbench.video.ffmpeg.filters import ffmpeg_command, frame_graph\n"
        "from vbench.video.probe import probe\n"
        "from vbench.video.types import FrameGeometry\n"
        "info = probe(sys.argv[1])\n"
        "graph = frame_graph(ffmpeg.input('x'), info, FrameGeometry.native(info), numpy.arange(20_000))\n"
        "with ffmpeg_command(graph, threads=1):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(1000)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    with subprocess.Popen(
        [sys.executable, "-c", program, info.path], env=environment, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        child.kill()

    assert ready == b"ready\n"
    assert list(tmp_path.iterdir()) == []


def whole(path: Path) -> Chunk:
    """The whole video as a single chunk, with every frame."""
    with Splitter(path, fps=Fraction(1000), chunk_s=Fraction(3600)) as splitter:
        return next(iter(splitter))


@pytest.mark.parametrize("hangs", [True, False], ids=["without output", "in mid-stream"])
def test_a_decode_that_nobody_waits_for_ends_soon_and_leaves_no_ffmpeg(
    hangs: bool, clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = whole(clip("constant"))
    if hangs:
        hanging = tmp_path / "ffmpeg"
        hanging.write_text('#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version 9.0" || exec sleep 1000\n')
        hanging.chmod(0o755)
        monkeypatch.setenv("VBENCH_FFMPEG", str(hanging))
    size = (160, 90) if hangs else (3840, 2160)  # scaling 120 frames up to 4K takes some seconds
    geometry = FrameGeometry.fitted(chunk.info.width, chunk.info.height, *size, "stretch")
    stop = threading.Event()
    ffmpeg_version(ffmpeg_path())  # asked once, of a program of its own, which is not the one waited for

    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(decode_chunk, chunk, geometry, threads=1, timeout_s=60, stop=stop)
        deadline = time.monotonic() + 20
        while not children():
            assert time.monotonic() < deadline
            assert not decoding.done()
            time.sleep(0.005)
        stop.set()
        start_s = time.monotonic()
        error = decoding.exception(timeout=20)
        took_s = time.monotonic() - start_s

    assert isinstance(error, StoppedError)
    assert took_s < 2
    assert children() == []
