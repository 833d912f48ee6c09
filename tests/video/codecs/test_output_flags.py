"""HEVC pictures that are decoded and, as their slices say, not handed out are no frames of a video."""

from collections.abc import Container
from pathlib import Path

import pytest

from tests.video.support.as_ffmpeg import Make, assert_as_ffmpeg
from tests.video.support.clips import source
from tests.video.support.output_flags import X265, with_output_flags


@pytest.mark.parametrize(
    ("unshown", "count"),
    [((), 48), ((7, 20), 46), ((0,), 47), ((12,), 47), (range(24, 36), 36), (range(1, 48, 2), 24)],
    ids=["none", "two", "the first", "an IDR picture", "a sequence", "every other"],
)
def test_only_pictures_that_are_handed_out_are_frames(
    unshown: Container[int], count: int, make: Make, tmp_path: Path
) -> None:
    whole = make("flags.mp4", f"{source(2, '24', '96x64')} {X265}")
    path = with_output_flags(whole, tmp_path / "flagged.mp4", unshown)

    assert_as_ffmpeg(path, count)
