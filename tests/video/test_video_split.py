"""Chunks, decoded one by one, give the frames of the whole video: same pts, same pixels, nothing else."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from clips import RECIPES, ClipStore
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Truth, found

from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.split import Splitter
from vbench.video.types import Frames, FrameGeometry, VideoInfo

NATIVE = sorted(
    set(RECIPES) - {"rotated_90", "rotated_180", "rotated_270", "mirrored", "colour_in_container"}
)
"""Clips whose frames lie in the file as they are shown; the others are tested in test_video_frames."""

SETTINGS = {
    "sparse": (Fraction(1), Fraction(1)),
    "uneven": (Fraction(7), Fraction(2, 3)),
    "all": (Fraction(1000), Fraction(3, 2)),
}


def chunked(path: Path, fps: Fraction, chunk_s: Fraction) -> list[Frames]:
    """Split and decode, frames as large as they are coded."""
    with Splitter(path, fps=fps, chunk_s=chunk_s) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return [decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", NATIVE)
def test_chunks_give_exactly_the_frames_of_the_whole(
    name: str, setting: str, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    fps, chunk_s = SETTINGS[setting]

    frames = found(chunked(clip(name), fps, chunk_s))

    assert frames == truth_of(name).expected(fps)


@pytest.mark.parametrize("name", NATIVE)
def test_one_pass_over_the_whole_gives_the_same_frames(
    name: str, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    fps = Fraction(7)

    frames = found(list(decode_video(clip(name), fps=fps, threads=2, timeout_s=60, batch_frames=5)))

    assert frames == truth_of(name).expected(fps)
