"""Fragmented MP4: fragments of other tracks may be missing, times may be rounded; the video's may not."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.video.support.as_ffmpeg import SHORT, Make, assert_as_ffmpeg
from tests.video.support.fragment_edits import SEPARATE, Fragment, edited
from vbench.video.containers.fragments import FragmentSequence
from vbench.video.errors import VideoError
from vbench.video.probe import probe

CODED = f"-f lavfi -i sine=duration=2 {SHORT} -map 1:v -map 0:a -c:a aac"
TOGETHER = "-movflags +frag_keyframe+empty_moov+default_base_moof"
HYBRID = "-movflags +frag_keyframe+default_base_moof"
"""The first GOP is in the ``moov`` box."""
INDEXED = "-movflags +dash+frag_keyframe+global_sidx"
VIDEO = 1
"""Number of the video's track."""

Edit = Callable[[list[Fragment]], list[Fragment]]


def later(found: Iterable[Fragment], first: int, ticks: int) -> list[Fragment]:
    """The video's fragments from number ``first`` on so many ticks later."""
    return [
        each.at_time(each.time + ticks)
        if each.track == VIDEO and each.number >= first and each.time is not None
        else each
        for each in found
    ]


def video_alone(found: Iterable[Fragment]) -> list[Fragment]:
    """The fragments that begin with the video's track."""
    return [fragment for fragment in found if fragment.track == VIDEO]


def without_second_track(fragment: Fragment) -> Fragment:
    """A fragment with padding in place of its second track."""
    return replace(fragment, content=b"free".join(fragment.content.rsplit(b"traf", 1)))


EDITS: dict[str, tuple[str, Edit]] = {
    "without audio": (SEPARATE, video_alone),
    "without audio, a tick late": (SEPARATE, lambda found: later(video_alone(found), 3, 1)),
    "without audio, a tick early": (SEPARATE, lambda found: later(video_alone(found), 3, -1)),
    "without audio, with a pause": (SEPARATE, lambda found: later(video_alone(found), 5, 20_000)),
    "with some audio": (SEPARATE, lambda found: [f for f in found if f.track == VIDEO or f.number < 5]),
    "with a gap in its audio": (SEPARATE, lambda found: [f for f in found if f.number not in (4, 6)]),
    "without times": (SEPARATE, lambda found: [f.without_time() for f in video_alone(found)]),
    "several tracks a fragment": (
        TOGETHER,
        lambda found: [without_second_track(f) if f.number % 2 else f for f in later(found, 2, 1)],
    ),
    "some samples in no fragment": (HYBRID, lambda found: later(found, 1, 1)),
    "numbered by twos": (INDEXED, lambda found: [f.numbered(2 * f.number) for f in later(found, 2, 1)]),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_the_video_does_not_lack_is_no_damage(name: str, make: Make, tmp_path: Path) -> None:
    muxing, edit = EDITS[name]
    clip = make(f"{list(EDITS).index(name)}.mp4", f"{CODED} {muxing}")

    assert_as_ffmpeg(edited(clip, tmp_path / "edited.mp4", edit), 48)


CUTS: dict[str, tuple[str, Edit, str]] = {
    "its second": (
        TOGETHER,
        lambda found: [f for f in found if f.number != 2],
        "fragment 2 is missing",
    ),
    "the one behind its moov": (HYBRID, lambda found: found[1:], "fragment 1 is missing"),
    "with sound between": (
        SEPARATE,
        lambda found: [f for f in found if f.number != 3],
        "1 of its movie fragments 2 to 4 are missing",
    ),
    "besides all audio": (
        SEPARATE,
        lambda found: [f for f in video_alone(found) if f.number != 5],
        "fragments 4 to 6 are missing",
    ),
    "numbered by threes": (
        INDEXED,
        lambda found: [f.numbered(3 * f.number) for f in found if f.number != 3],
        "fragments 7 to 11 are missing",
    ),
}


@pytest.mark.parametrize("name", CUTS)
def test_a_missing_fragment_of_the_video_is_damage(name: str, make: Make, tmp_path: Path) -> None:
    muxing, edit, missing = CUTS[name]
    clip = make(f"cut{list(CUTS).index(name)}.mp4", f"{CODED} {muxing}")
    path = edited(clip, tmp_path / "cut.mp4", edit)

    with pytest.raises(VideoError, match=missing):
        probe(path)


def traf(time: int, samples: int, duration: int | None) -> list[tuple[bytes, bytes]]:
    """A track's part of a fragment; without ``duration`` the track's default is used."""
    flags = 0 if duration is None else 8
    header = flags.to_bytes(4, "big") + bytes([0, 0, 0, VIDEO])
    header += b"" if duration is None else duration.to_bytes(4, "big")
    run = bytes(4) + samples.to_bytes(4, "big")
    return [(b"tfhd", header), (b"tfdt", bytes(4) + time.to_bytes(4, "big")), (b"trun", run)]


@pytest.mark.parametrize(
    ("duration", "samples", "gap", "damaged"),
    [
        (33, 120, 44, False),  # 30 frames/s in ms, rounded down
        (33, 120, 500, True),
        (3003, 30, 1000, False),
        (3003, 30, 3003, True),
        (1, 120, 1, True),  # a tick is a frame
        (None, 30, 100, False),  # 512 ticks by ``trex``
        (None, 30, 512, True),
    ],
)
def test_rounded_durations_are_told_from_a_missing_fragment(
    duration: int | None, samples: int, gap: int, damaged: bool
) -> None:
    order = FragmentSequence(Path("clip.mp4"))
    order.add_defaults(bytes([0] * 7 + [VIDEO] + [0] * 4) + (512).to_bytes(4, "big") + bytes(8))
    end = samples * (duration or 512)
    order.add(0, 1, [traf(0, samples, duration)])
    order.add(100, 3, [traf(end + gap, samples, duration)])

    if damaged:
        with pytest.raises(VideoError, match="damaged before byte 100"):
            order.check(VIDEO)
    else:
        order.check(VIDEO)
