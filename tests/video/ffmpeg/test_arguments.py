"""What FFmpeg's command line says of how it decoded."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import ClipStore
from vbench.video.ffmpeg.arguments import decode_settings
from vbench.video.ffmpeg.executable import OVERRIDE, ffmpeg_path
from vbench.video.ffmpeg.process import FFmpegRun
from vbench.video.frames import decode_chunk
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

PLAIN = [
    "ffmpeg",
    "-cpucount",
    "2",
    "-threads",
    "2",
    "-noautorotate",
    "-i",
    "pipe:0",
    "-pix_fmt",
    "rgb24",
    "-",
]


def with_words(before: str, *words: str) -> list[str]:
    at = PLAIN.index(before)
    return [*PLAIN[:at], *words, *PLAIN[at:]]


def test_settings_are_read_from_both_sides_of_the_input() -> None:
    assert decode_settings(PLAIN) == {"threads": 2, "hwaccel": None, "pixel_format": "rgb24"}
    assert decode_settings(with_words("-i", "-hwaccel", "cuda"))["hwaccel"] == "cuda"


@pytest.mark.parametrize("option", ["-threads", "-threads:v"])
def test_the_last_of_two_options_counts(option: str) -> None:
    assert decode_settings(with_words("-i", option, "8"))["threads"] == "2, 8"


def test_a_command_without_settings_says_nothing() -> None:
    assert decode_settings(["sh"]) == {"threads": None, "hwaccel": None, "pixel_format": None}


def runs_of(path: Path) -> list[FFmpegRun]:
    """Of decoding the first chunk."""
    runs: list[FFmpegRun] = []
    with Splitter(path, chunk_s=Fraction(10), fps=Fraction(5)) as splitter:
        chunk = next(iter(splitter))
        geometry = FrameGeometry.native(chunk.info)
        decode_chunk(chunk, geometry, threads=2, timeout_s=60, ended=runs.append)
    return runs


def test_a_decode_says_how_ffmpeg_ran_and_what_it_cost(clip: ClipStore) -> None:
    (run,) = runs_of(clip("constant"))
    assert decode_settings(run.arguments) == {"threads": 2, "hwaccel": None, "pixel_format": "rgb24"}
    assert run.cpu_s is not None
    assert 0.001 < run.cpu_s < 60


def test_a_program_in_ffmpegs_place_that_changes_the_threads_is_seen_through(
    clip: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "ffmpeg"
    script.write_text(
        f'#!/bin/bash\n[ "$1" = -version ] && exec {ffmpeg_path()} -version\n'
        f'args=("$@"); for i in "${{!args[@]}}"; do [ "${{args[$i]}}" = -threads ] && args[i+1]=3; done\n'
        f'exec {ffmpeg_path()} "${{args[@]}}"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv(OVERRIDE, str(script))
    (run,) = runs_of(clip("constant"))
    assert decode_settings(run.arguments)["threads"] == "2, 3"
