"""Bad input ends within seconds, in one clear sentence and a non-zero exit, with nothing left running.

One video of those that the load process finds unusable goes through the whole command, which reports all
of them alike; the others only through the step that finds them.
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import records
from tests.support.runs import SMALL, Workplace
from vbench.load.spec import LoadSpec
from vbench.load.steps import run_step
from vbench.video.ffmpeg.executable import ffmpeg_path

SECONDS = 60
"""Bound on each; about a tenth is used on an idle machine."""


def encode(path: Path, *arguments: str) -> None:
    command = [ffmpeg_path(), "-v", "error", "-y", *arguments, str(path)]
    subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)


def whole(path: Path) -> None:
    encode(path, "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=6", "-movflags", "+faststart")


def truncated(path: Path) -> None:
    whole(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def audio_only(path: Path) -> None:
    encode(path, "-f", "lavfi", "-i", "sine=duration=2")


VIDEOS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "clip.mp4"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "text": (lambda path: path.write_text("not a video at all\n" * 99), "clip.mp4"),
    "folder": (lambda path: path.mkdir(), "clip.mp4"),
    "truncated": (truncated, "clip.mp4"),
    "audio": (audio_only, "no video"),
}


def refused(workplace: Workplace, *overrides: str, **env: str) -> str:
    """The last line of a run that must end by itself, early, with status 2."""
    began = time.monotonic()
    status, output = workplace.run(*SMALL, "tracking=off", *overrides, **env)
    assert status == 2, output
    assert time.monotonic() - began < SECONDS
    assert "Traceback" not in output
    lines = [line for line in output.splitlines() if line.startswith("vbench: ")]
    assert len(lines) == 1, output
    assert workplace.left() == []
    return lines[0]


def test_a_video_that_cannot_be_used_is_refused_before_ray_starts(workplace: Workplace) -> None:
    make, says = VIDEOS["truncated"]
    make(workplace.folder / "clip.mp4")
    line = refused(workplace, "video=file", "video.path=clip.mp4")
    assert says in line
    assert not list(workplace.folder.rglob("ray.log"))


def unusable(folder: Path, capsys: pytest.CaptureFixture[str], *overrides: str) -> str:
    """What the step before the cluster says to the harness about an input that it cannot use."""
    job = LoadSpec(
        config=records.config(*SMALL, f"outputs={folder / 'outputs'}", *overrides),
        folder=folder,
        endpoint=None,
    )
    assert run_step("prepare", job) == 2
    *_, last = capsys.readouterr().out.splitlines()
    event = json.loads(last)
    message = event.pop("message")
    assert event == {"event": "failed", "bad_input": True}
    assert "\n" not in message
    return str(message)


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_video_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    make, says = VIDEOS[kind]
    path = tmp_path / "clip.mp4"
    make(path)
    message = unusable(tmp_path, capsys, "video=file", f"video.path={path}")
    assert says in message
    assert str(path) in message


def test_frames_that_can_never_fit_are_refused_with_the_arithmetic(workplace: Workplace) -> None:
    whole(workplace.folder / "clip.mp4")
    store = ["mode=combined", "pipeline.fps=30", "cluster.nodes.head.object_store_mb=100"]
    line = refused(workplace, "video=file", "video.path=clip.mp4", *store)
    assert "180 frames x 640 x 360 x 3 bytes = 124.4 MB, of a budget of 80.0 MB" in line


def test_an_output_folder_that_cannot_be_written_is_refused(workplace: Workplace) -> None:
    (workplace.folder / "file").write_text("in the way")
    line = refused(workplace, "outputs=file/below")
    assert "outputs=file/below cannot be written to" in line


def test_an_object_store_beyond_the_machines_memory_is_refused(workplace: Workplace) -> None:
    line = refused(workplace, "cluster.nodes.head.object_store_mb=99000000")
    assert "object_store_mb=99000000 does not fit" in line


@pytest.mark.parametrize(
    ("content", "says"), [(None, "nowhere.safetensors"), (b"junk", "nowhere.safetensors")]
)
def test_weights_that_are_missing_or_corrupt_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, says: str
) -> None:
    path = tmp_path / says
    if content is not None:
        path.write_bytes(content)
    assert str(path) in unusable(tmp_path, capsys, f"model.weights={path}")


def test_a_missing_ffmpeg_is_named_with_what_to_do(workplace: Workplace) -> None:
    line = refused(workplace, VBENCH_FFMPEG=str(workplace.folder / "no-ffmpeg"))
    assert "no-ffmpeg" in line


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_in_use_is_refused_with_what_to_do(workplace: Workplace, taken_port: int) -> None:
    line = refused(workplace, f"cluster.http_port={taken_port}")
    assert f"cluster.http_port={taken_port} is in use" in line
    assert "cluster.http_port=0" in line
