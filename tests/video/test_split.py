"""Chunks, decoded one by one, give the frames of the whole video: same pts, same pixels, nothing else."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.video.support.bare import without_usability_information
from tests.video.support.clips import RECIPES, ClipStore, run_ffmpeg
from tests.video.support.oracle import Truth, found, truth
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import read_index
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry, Frames

TURNED = {"rotated_90", "rotated_180", "rotated_270", "mirrored"}
"""Their frames lie otherwise in the file than they are shown; see test_video_frames."""

AS_CODED = sorted(set(RECIPES) - TURNED)

SETTINGS = {
    "sparse": (Fraction(1), Fraction(1)),
    "uneven": (Fraction(7), Fraction(2, 3)),
    "all": (Fraction(1000), Fraction(3, 2)),
}


def chunked(
    path: Path, fps: Fraction, chunk_s: Fraction, *, prune: bool = False, most: int | None = None
) -> list[Frames]:
    """Split and decode, frames as large as they are coded."""
    bound = None if most is None else lambda _: most
    with Splitter(path, fps=fps, chunk_s=chunk_s, prune=prune, max_frames=bound) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return [decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter]


@pytest.mark.parametrize("prune", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", AS_CODED)
def test_chunks_give_exactly_the_frames_of_the_whole(
    name: str, setting: str, prune: bool, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    fps, chunk_s = SETTINGS[setting]

    frames = found(chunked(clip(name), fps, chunk_s, prune=prune))

    assert frames == truth_of(name).expected(fps)


@pytest.mark.parametrize("name", AS_CODED)
def test_one_pass_over_the_whole_gives_the_same_frames(
    name: str, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    fps = Fraction(7)

    frames = found(list(decode_video(clip(name), fps=fps, threads=2, timeout_s=60, batch_frames=5)))

    assert frames == truth_of(name).expected(fps)


@pytest.mark.parametrize("prune", [False, True], ids=["whole", "pruned"])
@pytest.mark.parametrize("fps", [Fraction(1), Fraction(7), Fraction(30)], ids=str)
@pytest.mark.parametrize("name", ["b_pyramid", "long_gop"])
def test_a_stream_need_not_say_how_far_its_pictures_are_reordered(
    name: str, fps: Fraction, prune: bool, clip: ClipStore, tmp_path: Path
) -> None:
    path = without_usability_information(clip(name), tmp_path / "bare.mp4")

    frames = found(chunked(path, fps, Fraction(1), prune=prune))

    assert frames == truth(path).expected(fps)


@settings(max_examples=40, derandomize=True, database=None)
@given(
    name=st.sampled_from(
        ["open_gop", "variable", "b_pyramid", "open_gop_ts", "hevc", "hevc_layers", "edit_list", "vp9"]
    ),
    prune=st.booleans(),
    fps=st.fractions(min_value=Fraction(1, 3), max_value=40, max_denominator=1001),
    chunk_s=st.fractions(min_value=Fraction(1, 3), max_value=5, max_denominator=1001),
    most=st.none() | st.integers(3, 50),
)
def test_any_rate_and_any_chunk_length_give_the_frames_of_the_whole(
    name: str,
    prune: bool,
    fps: Fraction,
    chunk_s: Fraction,
    most: int | None,
    clip: ClipStore,
    truth_of: Callable[[str], Truth],
) -> None:
    frames = found(chunked(clip(name), fps, chunk_s, prune=prune, most=most))

    assert frames == truth_of(name).expected(fps)


@settings(max_examples=150, derandomize=True, database=None)
@given(
    name=st.sampled_from(AS_CODED),
    fps=st.fractions(min_value=Fraction(1, 100), max_value=100, max_denominator=1001),
    chunk_s=st.fractions(min_value=Fraction(1, 100), max_value=10, max_denominator=1001),
)
def test_every_target_belongs_to_the_one_chunk_whose_span_holds_it(
    name: str, fps: Fraction, chunk_s: Fraction, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    splitter = Splitter(clip(name), fps=fps, chunk_s=chunk_s)
    info, known = splitter.info, truth_of(name)

    assert splitter.sampled_pts.tolist() == known.picked(fps)
    assert info.frames == len(known.pixels)
    assert (info.first_pts, info.time_base) == (min(known.pixels), known.time_base)
    owners = [int((pts - info.first_pts) * info.time_base / chunk_s) for pts in splitter.sampled_pts.tolist()]
    assert [len(plan.sampled_pts) for plan in splitter.plan] == [
        owners.count(number) for number in range(splitter.chunk_count)
    ]
    last_frame = int((max(known.pixels) - info.first_pts) * info.time_base / chunk_s)
    assert splitter.chunk_count == last_frame + 1


@settings(max_examples=100, derandomize=True, database=None)
@given(
    name=st.sampled_from(AS_CODED),
    fps=st.fractions(min_value=Fraction(1, 3), max_value=60, max_denominator=1001),
    chunk_s=st.fractions(min_value=Fraction(1, 3), max_value=10, max_denominator=1001),
    most=st.integers(1, 40),
)
def test_chunks_of_more_frames_than_the_bound_are_cut_and_the_others_left_as_they_are(
    name: str, fps: Fraction, chunk_s: Fraction, most: int, clip: ClipStore
) -> None:
    whole = Splitter(clip(name), fps=fps, chunk_s=chunk_s).plan
    splitter = Splitter(clip(name), fps=fps, chunk_s=chunk_s, max_frames=lambda _: most)

    assert max(len(part.sampled_pts) for part in splitter.plan) <= most
    assert np.array_equal(np.concatenate([part.sampled_pts for part in splitter.plan]), splitter.sampled_pts)
    assert [part.start_s for part in splitter.plan[1:]] == [part.end_s for part in splitter.plan[:-1]]
    starts = {part.start_s for part in splitter.plan}
    assert starts >= {chunk.start_s for chunk in whole}
    small = {(chunk.start_s, chunk.end_s) for chunk in whole if len(chunk.sampled_pts) <= most}
    assert small <= {(part.start_s, part.end_s) for part in splitter.plan}


def test_a_chunk_is_cut_where_decoding_starts_anew_and_no_packet_is_read_twice(clip: ClipStore) -> None:
    # Four GOPs of 24 frames: of at most 30 frames, 24 are taken each time.
    with Splitter(
        clip("closed_gop"), fps=Fraction(1000), chunk_s=Fraction(60), max_frames=lambda _: 30
    ) as splitter:
        chunks = list(splitter)

    assert sum(chunk.packets for chunk in chunks) == splitter.info.frames
    assert {len(chunk.sampled_pts) for chunk in chunks[:-1]} == {24}


def test_a_gop_of_more_frames_than_the_bound_is_cut_within(clip: ClipStore) -> None:
    with Splitter(
        clip("intra_refresh"), fps=Fraction(30), chunk_s=Fraction(60), max_frames=lambda _: 50
    ) as splitter:
        assert [len(chunk.sampled_pts) for chunk in splitter] == [50, 50, 20]


def test_a_length_that_is_a_multiple_of_the_chunks_makes_no_empty_last_chunk(clip: ClipStore) -> None:
    splitter = Splitter(clip("constant"), fps=Fraction(1), chunk_s=Fraction(1))

    assert splitter.info.duration_s == 4.0
    assert [(plan.start_s, plan.end_s, len(plan.sampled_pts)) for plan in splitter.plan] == [
        (0.0, 1.0, 1),
        (1.0, 2.0, 1),
        (2.0, 3.0, 1),
        (3.0, 4.0, 1),
    ]


def test_a_video_shorter_than_a_chunk_is_one_chunk_that_ends_with_it(clip: ClipStore) -> None:
    splitter = Splitter(clip("short"), fps=Fraction(1000), chunk_s=Fraction(60))

    assert [(plan.start_s, plan.end_s, len(plan.sampled_pts)) for plan in splitter.plan] == [(0.0, 0.5, 15)]


def test_a_chunk_in_which_nothing_is_shown_is_empty_and_decodes_to_nothing(clip: ClipStore) -> None:
    with Splitter(clip("gap"), fps=Fraction(30), chunk_s=Fraction(1, 2)) as splitter:
        chunk = list(splitter)[3]  # 1.5 to 2.0 s; no frame is shown between 1 and 3 s

    frames = decode_chunk(chunk, FrameGeometry.native(chunk.info), threads=1, timeout_s=60)

    assert (len(chunk.sampled_pts), len(chunk.payload), chunk.packets) == (0, 0, 0)
    assert frames.pixels.shape == (0, 90, 160, 3)
    assert len(frames.pts) == 0


def test_chunks_follow_the_plan_and_a_splitter_can_be_gone_through_again(clip: ClipStore) -> None:
    with Splitter(clip("open_gop"), fps=Fraction(5), chunk_s=Fraction(7, 10)) as splitter:
        first, second = list(splitter), list(splitter)

    planned = [(plan.start_s, plan.end_s, len(plan.sampled_pts)) for plan in splitter.plan]
    assert [(chunk.start_s, chunk.end_s, len(chunk.sampled_pts)) for chunk in first] == planned
    assert [chunk.index for chunk in first] == list(range(splitter.chunk_count))
    assert np.array_equal(np.concatenate([chunk.sampled_pts for chunk in first]), splitter.sampled_pts)
    assert [chunk.payload.tobytes() for chunk in first] == [chunk.payload.tobytes() for chunk in second]


def test_chunks_that_begin_at_closed_gops_carry_no_packet_twice(clip: ClipStore) -> None:
    with Splitter(clip("closed_gop"), fps=Fraction(1000), chunk_s=Fraction(8, 10)) as splitter:
        assert sum(chunk.packets for chunk in splitter) == splitter.info.frames


def test_an_intra_refresh_entry_is_not_taken_for_a_clean_one(clip: ClipStore) -> None:
    with Splitter(clip("intra_refresh"), fps=Fraction(1), chunk_s=Fraction(1)) as splitter:
        assert [chunk.packets for chunk in splitter] == [1, 31, 61, 91]


def test_memory_holds_the_open_gops_and_not_the_file(clip: ClipStore, tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    run_ffmpeg("-stream_loop", "240", "-i", str(clip("constant")), "-c", "copy", str(long))
    program = (
        "import resource, sys\n"
        "from fractions import Fraction\n"
        "from vbench.video.split import Splitter\n"
        "peak_kb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "splitter = Splitter(sys.argv[1], fps=Fraction(1), chunk_s=Fraction(3))\n"
        "before = peak_kb()\n"
        "count = sum(1 for chunk in splitter)\n"
        "print(count, peak_kb() - before)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(long)], capture_output=True, text=True, check=True
    )

    count, grown_kb = (int(word) for word in done.stdout.split())
    assert count == 322
    assert grown_kb < 12_000 < long.stat().st_size / 1024 / 5


def test_leaving_the_splitter_ends_a_pass_that_is_under_way(clip: ClipStore) -> None:
    with Splitter(clip("constant"), fps=Fraction(1), chunk_s=Fraction(1)) as splitter:
        chunks = iter(splitter)
        next(chunks)

    assert list(chunks) == []


def test_a_file_that_changes_between_the_passes_is_an_error(clip: ClipStore, tmp_path: Path) -> None:
    path = tmp_path / "changing.mp4"
    path.write_bytes(clip("constant").read_bytes())
    splitter = Splitter(path, fps=Fraction(1), chunk_s=Fraction(1))
    path.write_bytes(clip("rate_29_97").read_bytes())

    with pytest.raises(VideoError, match="changed while it was being read"):
        list(splitter)


@pytest.mark.parametrize(("fps", "chunk_s"), [(0, 1), (-1, 1), (1, 0), (1, -1), (1, Fraction(1, 10**9))])
def test_rates_and_lengths_that_make_no_sense_are_refused(
    fps: int, chunk_s: Fraction, clip: ClipStore
) -> None:
    with pytest.raises(ValueError, match=r"(fps|chunk_s)=\S+ is (out of range|too short)"):
        Splitter(clip("constant"), fps=Fraction(fps), chunk_s=Fraction(chunk_s))


@pytest.mark.parametrize("name", ["constant", "open_gop", "hevc", "variable_mkv", "edit_list", "vp9"])
def test_keyframes_stand_for_the_frames_asked_for(
    name: str, clip: ClipStore, truth_of: Callable[[str], Truth]
) -> None:
    fps, known = Fraction(3), truth_of(name)
    info, index = read_index(clip(name))
    keyframes = sorted(index.pts[index.presented & index.random_access].tolist())
    placeholders = {
        max([k for k in keyframes if k <= pts], default=keyframes[0]) for pts in known.picked(fps)
    }

    with Splitter(clip(name), fps=fps, chunk_s=Fraction(1), prune=True, keyframes_only=True) as splitter:
        geometry = FrameGeometry.native(info)
        frames = found([decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter])
    one_pass = found(list(decode_video(clip(name), fps=fps, threads=1, timeout_s=60, keyframes_only=True)))

    assert frames == one_pass == [(pts, known.pixels[pts]) for pts in sorted(placeholders)]
    assert len(frames) < len(known.picked(fps))


def test_keyframes_alone_are_sent_where_only_they_are_wanted(clip: ClipStore) -> None:
    with Splitter(
        clip("constant"), fps=Fraction(1000), chunk_s=Fraction(60), prune=True, keyframes_only=True
    ) as splitter:
        (chunk,) = splitter

    assert (chunk.packets, len(chunk.sampled_pts)) == (4, 4)


def test_a_video_that_shows_no_keyframe_gives_the_frames_asked_for(clip: ClipStore) -> None:
    info, index = read_index(clip("constant"))
    hidden = replace(index, presented=index.presented & ~index.random_access)

    wanted = hidden.sampled_pts(info, Fraction(2), keyframes_only=True)

    assert wanted.tolist() == hidden.sampled_pts(info, Fraction(2)).tolist()
