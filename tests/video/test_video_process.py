"""One run of FFmpeg stays within its bounds, ends whatever happens, and says whose fault its end was."""

from fractions import Fraction

import psutil
from clips import ClipStore

from vbench.video.frames import decode_video


def children() -> list[psutil.Process]:
    """Programs that this process started and did not reap, but for Python's own helpers."""
    return [child for child in psutil.Process().children() if "python" not in child.name()]


def test_the_threads_of_a_decode_come_from_its_cpus_and_not_from_the_machines(clip: ClipStore) -> None:
    frames = decode_video(clip("constant"), fps=Fraction(30), threads=1, timeout_s=60, batch_frames=1)
    next(frames)

    (running,) = children()
    tasks = running.num_threads()
    command = running.cmdline()
    frames.close()

    assert tasks < 10  # one each for decoder, filters and scaler, and FFmpeg's own
    assert command[command.index("-cpucount") + 1] == "1"
