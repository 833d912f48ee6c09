"""Files with far too many tracks are refused before FFmpeg spends memory on each."""

import struct
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import ClipStore, run_ffmpeg
from vbench.video.errors import VideoTooLargeError
from vbench.video.index.demux import open_video
from vbench.video.probe import probe
from vbench.video.reader.pool import ReaderServer
from vbench.video.reader.server import describe_error
from vbench.video.types import VideoLimits


@pytest.fixture
def tracks(clip: ClipStore, tmp_path: Path) -> Callable[[int, str], Path]:
    """The clip with so many video tracks."""

    def make(count: int, ending: str) -> Path:
        path = tmp_path / f"tracks_{count}.{ending}"
        maps = ["-map", "0:v"] * count
        run_ffmpeg("-t", "0.2", "-i", str(clip("constant")), *maps, "-c", "copy", str(path))
        return path

    return make


def test_a_hundred_tracks_are_accepted(tracks: Callable[[int, str], Path]) -> None:
    assert probe(tracks(100, "mp4")).frames > 0


@pytest.mark.parametrize(
    ("ending", "said"),
    [("mp4", "has 101 tracks"), ("mkv", "has more than 100 tracks"), ("ts", "has more than 100 tracks")],
)
def test_more_tracks_are_refused_by_their_number(
    tracks: Callable[[int, str], Path], ending: str, said: str
) -> None:
    with pytest.raises(
        VideoTooLargeError, match=rf"{said}.*, but at most 100 tracks are accepted; keep only its"
    ):
        probe(tracks(101, ending))


def test_a_thousand_tracks_cost_a_reader_nothing(clip: ClipStore, tmp_path: Path) -> None:
    data = clip("constant").read_bytes()
    start = data.index(b"moov") - 4
    movie = data[start : start + struct.unpack(">I", data[start : start + 4])[0]]
    at = movie.index(b"trak") - 4
    track = movie[at : at + struct.unpack(">I", movie[at : at + 4])[0]]
    larger = movie[8:] + 1000 * track
    path = tmp_path / "tracks.mp4"
    path.write_bytes(
        data[:start] + struct.pack(">I4s", 8 + len(larger), b"moov") + larger + data[start + len(movie) :]
    )
    readers = ReaderServer()
    try:
        options = {"fps": Fraction(1), "chunk_s": Fraction(1), "limits": VideoLimits()}
        with (
            pytest.raises(VideoTooLargeError, match=r"^v.mp4 has 100\d tracks, but at most 100"),
            readers.split(
                path,
                options,
                display_name="v.mp4",
                max_frames=lambda _: None,
                chunk_bytes=1,
                stop=threading.Event(),
            ),
        ):
            pass
    finally:
        readers.close()


@pytest.mark.parametrize(
    "error",
    [
        ImportError("/usr/lib/binascii.so: failed to map segment from shared object"),
        ImportError("libav.so: cannot allocate memory in static TLS block"),
        RuntimeError("can't start new thread"),
        MemoryError(),
    ],
)
def test_a_reader_without_memory_is_told_apart_by_what_it_says(error: BaseException) -> None:
    assert describe_error(error) == ("MemoryError", "")


def test_a_readers_failure_names_no_path_of_its_node() -> None:
    error = OSError(22, "Invalid argument", "/tmp/secret")
    assert describe_error(error) == ("RuntimeError", "OSError: Invalid argument")


def test_tracks_are_counted_before_the_file_is_opened(
    tracks: Callable[[int, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tracks(101, "mp4")
    monkeypatch.setattr("vbench.video.index.demux.av.open", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(VideoTooLargeError), open_video(path, VideoLimits()):
        pass
