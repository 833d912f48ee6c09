"""A rotated clip has the same pictures, to the bit, from another keyframe on."""

from fractions import Fraction
from pathlib import Path

import pytest

from vbench.video.frames import decode_video
from vbench.video.probe import probe
from vbench.video.scene import SceneSettings, ensure_clip
from vbench.video.scenes.rotate import ensure_rotated, first_frame
from vbench.video.types import FrameGeometry

FPS = Fraction(5)
GOP_FRAMES = 5
"""Sampled frames of a GOP of a second."""


def scene(folder: Path, *, bframes: int = 2, open_gop: bool = False) -> Path:
    settings = SceneSettings(
        width=96,
        height=64,
        fps="10",
        length_s=4,
        unique_s=4,
        gop_s=1,
        bframes=bframes,
        open_gop=open_gop,
        objects=3,
        audio=False,
    )
    return ensure_clip(settings, folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four GOPs, each with pictures that are shown in another order than they are decoded in."""
    return scene(tmp_path_factory.mktemp("scene"))


def pictures(path: Path) -> list[bytes]:
    geometry = FrameGeometry.fitted(96, 64, 96, 64, "stretch")
    passes = decode_video(path, fps=FPS, geometry=geometry, threads=1, timeout_s=60)
    return [picture.tobytes() for frames in passes for picture in frames.pixels]


def test_each_begins_at_another_keyframe_and_has_all_pictures(clip: Path) -> None:
    whole = pictures(clip)
    rotated = ensure_rotated(clip, Fraction(4), 9)
    assert len(rotated) == 3
    assert [first_frame(path) for path in rotated] == [10, 20, 30]
    for number, path in enumerate(rotated, start=1):
        cut = number * GOP_FRAMES
        assert pictures(path) == whole[cut:] + whole[:cut]
        assert probe(path).duration_s == probe(clip).duration_s
        assert probe(path).frames == probe(clip).frames


def test_a_clip_whose_gops_need_the_one_before_is_not_cut(tmp_path: Path) -> None:
    assert ensure_rotated(scene(tmp_path, bframes=3, open_gop=True), Fraction(4), 9) == []


def test_no_more_are_made_than_asked_for_and_none_from_beyond(clip: Path) -> None:
    assert len(ensure_rotated(clip, Fraction(4), 2)) == 2
    assert len(ensure_rotated(clip, Fraction(2), 9)) == 1
    assert ensure_rotated(clip, Fraction(1), 9) == []


def test_what_is_there_is_not_made_again(clip: Path) -> None:
    first = ensure_rotated(clip, Fraction(4), 9)
    before = [path.stat().st_mtime_ns for path in first]
    assert [path.stat().st_mtime_ns for path in ensure_rotated(clip, Fraction(4), 9)] == before


def test_one_that_was_replaced_is_made_again_and_named(clip: Path) -> None:
    first, second, _ = ensure_rotated(clip, Fraction(4), 9)
    before, said = first.read_bytes(), list[str]()
    first.write_bytes(second.read_bytes())
    ensure_rotated(clip, Fraction(4), 9, said.append)
    assert first.read_bytes() == before
    assert said == [f"{first} differs from what was written to the cache: it is made again."]
