"""Synthetic scenes: the pictures, the truth about them, and the clips they are cached as."""

import hashlib
import json
import multiprocessing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from vbench.video.cache import digest_path
from vbench.video.errors import VideoError
from vbench.video.scene import (
    Scene,
    SceneSettings,
    SceneTruth,
    clip_path,
    ensure_clip,
    load_truth,
    truth_path,
)
from vbench.video.scenes.shapes import SHAPES, draw_tile
from vbench.video.types import TruthBox

SMALL = SceneSettings(width=320, height=180, fps="10", length_s=2.0, unique_s=2.0, gop_s=1.0, seed=3)


def packets(clip: Path) -> list[tuple[int, bytes]]:
    with av.open(str(clip)) as container:
        demuxed = container.demux(container.streams.video[0])
        return [(int(p.pts), bytes(p)) for p in demuxed if p.size and p.pts is not None]


def pictures(clip: Path) -> list[tuple[float, bytes]]:
    with av.open(str(clip)) as container:
        return [(float(f.time or 0), f.to_ndarray().tobytes()) for f in container.decode(video=0)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@given(
    seed=st.integers(0, 2**63 - 1),
    size=st.sampled_from([(320, 180), (180, 320), (64, 64)]),
    objects=st.integers(0, 30),
    frame=st.integers(0, 500),
)
@hypothesis_settings(max_examples=30)
def test_truth_boxes_lie_in_the_picture_and_hold_what_is_visible(
    seed: int, size: tuple[int, int], objects: int, frame: int
) -> None:
    width, height = size
    scene = Scene(SceneSettings(width=width, height=height, seed=seed, objects=objects))
    boxes = scene.truth(frame)
    assert len(boxes) <= objects
    for truth in boxes:
        x1, y1, x2, y2 = truth.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert 0 < truth.visible <= 1
        assert truth.class_name in SHAPES


def test_same_settings_give_the_same_pictures_and_another_seed_gives_others() -> None:
    first, again, other = Scene(SMALL), Scene(SMALL), Scene(replace(SMALL, seed=4))
    assert np.array_equal(first.frame(7), again.frame(7))
    assert first.truth(7) == again.truth(7)
    assert not np.array_equal(first.frame(7), other.frame(7))


def test_frames_do_not_depend_on_which_were_drawn_before() -> None:
    scene = Scene(SMALL)
    scene.frame(3)
    late = scene.frame(11)
    assert np.array_equal(Scene(SMALL).frame(11), late)


def test_the_same_scene_is_shown_at_every_size() -> None:
    small = Scene(SceneSettings(width=640, height=360, seed=5)).truth(40)
    large = Scene(SceneSettings(width=1920, height=1080, seed=5)).truth(40)
    assert [t.class_name for t in small] == [t.class_name for t in large]
    for a, b in zip(small, large, strict=True):
        assert np.allclose(np.array(a.box) * 3, b.box, atol=6)


def test_render_gives_what_frame_and_truth_give() -> None:
    scene = Scene(SMALL)
    picture, truth = scene.render(5)
    assert picture.shape == (180, 320, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, scene.frame(5))
    assert truth == scene.truth(5)


def test_scene_repeats_without_a_jump() -> None:
    scene = Scene(SceneSettings(width=320, height=180, seed=1, objects=6))
    count = scene.settings.unique_frames
    assert np.array_equal(scene.frame(0), scene.frame(count))

    def shift(i: int) -> float:
        before, after = scene.frame(i).astype(int), scene.frame(i + 1).astype(int)
        return float(np.abs(before - after).mean())

    inside = [shift(i) for i in range(0, count - 1, 29)]
    assert shift(count - 1) <= 1.5 * max(inside)


def test_truth_box_fits_the_pixels_of_a_lone_object() -> None:
    empty = SceneSettings(width=640, height=360, seed=12, objects=0)
    # The background and the grain do not depend on the objects, so that what differs is the object.
    scene, background = Scene(replace(empty, objects=1)), Scene(empty).frame(0).astype(int)
    changed = np.abs(scene.frame(0).astype(int) - background).max(-1) > 8
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    (truth,) = scene.truth(0)
    seen = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.allclose(truth.box, seen, atol=1.5)


def test_visible_share_and_box_of_a_covered_object_are_those_of_its_pixels() -> None:
    # Objects are seeded one by one, and later ones lie on top: a scene of two holds the scene of one.
    checked = 0
    for seed in range(300):
        if checked == 4:
            break
        one = SceneSettings(width=640, height=360, seed=seed, objects=1)
        lower, both = Scene(one).truth(0), Scene(replace(one, objects=2)).truth(0)
        if len(both) < 2 or lower[0].visible < 1 or both[0].visible > 0.9:
            continue
        nothing, below, above = (Scene(replace(one, objects=n)).frame(0).astype(int) for n in range(3))
        own = np.abs(below - nothing).max(-1) > 0
        seen = own & (np.abs(above - below).max(-1) == 0)
        assert both[0].visible == pytest.approx(seen.sum() / own.sum(), abs=0.08)
        rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
        assert np.allclose(both[0].box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=2)
        checked += 1
    assert checked == 4


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_fits_its_tile_and_covers_a_fair_part_of_it(name: str) -> None:
    tile = draw_tile(name, 200, np.random.default_rng(0))
    inside = tile[..., 3] < 0
    border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    assert not border.any()
    assert 0.1 < inside.mean() < 0.6
    assert tile[..., :3].min() >= 0
    assert tile[..., :3].max() <= 255


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 321}, "width 321 .* even"),
        ({"height": 0}, "height 0 .* 64 to 8192"),
        ({"length_s": 0.0}, "length_s 0.0 holds no frame"),
        ({"length_s": float("nan")}, "length_s nan"),
        ({"length_s": float("inf")}, "length_s inf"),
        ({"unique_s": -1.0}, "unique_s -1.0"),
        ({"gop_s": 0.0}, "gop_s 0.0"),
        ({"fps": "thirty"}, "fps 'thirty'"),
        ({"fps": "30/0"}, "fps '30/0'"),
        ({"fps": "-5"}, "fps '-5'"),
        ({"crf": 52}, "crf 52"),
        ({"objects": -1}, "objects -1"),
        ({"bframes": 0, "open_gop": True}, "open_gop needs B-frames"),
    ],
)
def test_impossible_settings_are_refused_by_name(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **change)  # type: ignore[arg-type]  # the values are wrong on purpose


def test_every_setting_changes_the_fingerprint() -> None:
    changed: dict[str, object] = {
        **{"width": 640, "height": 360, "fps": "30000/1001", "length_s": 4.0, "unique_s": 1.0, "gop_s": 0.5},
        **{"bframes": 0, "open_gop": True, "seed": 9, "objects": 1, "crf": 30, "audio": False},
    }
    assert set(changed) == set(SceneSettings.__dataclass_fields__)
    prints = {replace(SMALL, **{k: v}).fingerprint for k, v in changed.items()}  # type: ignore[arg-type]  # mixed
    assert len(prints | {SMALL.fingerprint}) == len(changed) + 1


def test_clip_is_what_the_settings_say(tmp_path: Path) -> None:
    clip = ensure_clip(SMALL, tmp_path)
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec.name, audio.codec.name) == ("h264", "aac")
        assert video.codec_context.pix_fmt == "yuv420p"
        assert (video.codec_context.width, video.codec_context.height) == (320, 180)
        assert video.average_rate == 10
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=0.03)
        keyframes = [p.pts * p.time_base for p in container.demux(video) if p.size and p.is_keyframe]
    assert keyframes == [0, 1]
    assert clip.read_bytes().find(b"moov") < clip.read_bytes().find(b"mdat")
    assert len(pictures(clip)) == 20


def test_audio_is_left_out_when_not_asked_for(tmp_path: Path) -> None:
    clip = ensure_clip(replace(SMALL, audio=False, length_s=1.0), tmp_path)
    with av.open(str(clip)) as container:
        assert not container.streams.audio


def test_decoded_frames_show_the_scene(tmp_path: Path) -> None:
    settings = replace(SMALL, crf=12)
    clip = ensure_clip(settings, tmp_path)
    scene = Scene(settings)
    with av.open(str(clip)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            error = frame.to_ndarray(format="rgb24").astype(int) - scene.frame(i)
            assert np.abs(error).mean() < 6


def with_digests(*kept: Path) -> list[Path]:
    return sorted([*kept, *map(digest_path, kept)])


def test_second_call_takes_the_clip_from_the_cache(tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    first = ensure_clip(SMALL, tmp_path, lambda done, of: reports.append((done, of)))
    before = first.stat().st_mtime_ns
    assert reports == [(i + 1, 20) for i in range(20)]
    reports.clear()
    again = ensure_clip(SMALL, tmp_path, lambda done, of: reports.append((done, of)))
    assert (again, again.stat().st_mtime_ns, reports) == (first, before, [])
    assert sorted(tmp_path.iterdir()) == with_digests(first, truth_path(first))


def test_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = ensure_clip(SMALL, tmp_path / "a"), ensure_clip(SMALL, tmp_path / "b")
    assert digest(first) == digest(second)
    assert truth_path(first).read_text() == truth_path(second).read_text()


@pytest.mark.parametrize("fps", ["10", "30000/1001"])
def test_long_clip_repeats_the_unique_part_frame_by_frame(tmp_path: Path, fps: str) -> None:
    settings = replace(SMALL, fps=fps, unique_s=1.0, length_s=3.5, open_gop=True)
    clip = ensure_clip(settings, tmp_path)
    shown = pictures(clip)
    unique = settings.unique_frames
    assert len(shown) == settings.frames
    assert [time_s for time_s, _ in shown] == pytest.approx(
        [float(i / Fraction(fps)) for i in range(settings.frames)], abs=1e-6
    )
    assert [picture for _, picture in shown[unique : 3 * unique]] == [p for _, p in shown[:unique]] * 2
    assert len({picture for _, picture in shown[:unique]}) == unique
    truth = load_truth(clip)
    scene = Scene(settings)
    assert len(truth.frames) == unique
    for i in (0, 1, unique - 1, unique, 3 * unique + 2):
        expected = scene.truth(i)
        assert [(t.class_name, t.box) for t in truth.at_frame(i)] == [(t.class_name, t.box) for t in expected]
        assert truth.at_time(shown[i][0]) == truth.at_frame(i)


def test_looped_packets_are_those_of_the_unique_part(tmp_path: Path) -> None:
    once = packets(ensure_clip(SMALL, tmp_path))
    thrice = packets(ensure_clip(replace(SMALL, length_s=6.0), tmp_path))
    assert [data for _, data in thrice] == [data for _, data in once] * 3


def test_time_between_two_frames_belongs_to_the_earlier_one() -> None:
    boxes = [(TruthBox(class_name="ring", box=(i, 0, 9, 9), visible=1.0),) for i in range(3)]
    truth = SceneTruth(rate=Fraction(30000, 1001), frames=tuple(boxes))
    assert truth.at_time(0.0) == boxes[0]
    assert truth.at_time(1.9 * 1001 / 30000) == boxes[1]
    assert truth.at_time(round(2 * 1001 / 30000, 5)) == boxes[2]
    assert truth.at_time(3.5 * 1001 / 30000) == boxes[0]


def test_missing_or_damaged_truth_is_a_video_error(tmp_path: Path) -> None:
    clip = clip_path(SMALL, tmp_path)
    with pytest.raises(VideoError, match=r"truth\.json has no ground truth"):
        load_truth(clip)
    truth_path(clip).write_text(json.dumps({"fps": "10"}))
    with pytest.raises(VideoError, match="ensure_clip makes both again"):
        load_truth(clip)


def test_clip_without_truth_is_made_again(tmp_path: Path) -> None:
    clip = ensure_clip(SMALL, tmp_path)
    truth_path(clip).unlink()
    ensure_clip(SMALL, tmp_path)
    assert load_truth(clip).frames


def test_a_clip_or_truth_that_was_replaced_is_made_again_and_named(tmp_path: Path) -> None:
    clip = ensure_clip(SMALL, tmp_path)
    other = ensure_clip(replace(SMALL, seed=9), tmp_path)
    before, said = clip.read_bytes(), list[str]()
    for path, source in ((clip, other), (truth_path(clip), truth_path(other))):
        path.write_bytes(source.read_bytes())
        assert ensure_clip(SMALL, tmp_path, warn=said.append).read_bytes() == before
        assert said.pop() == f"{path} differs from what was written to the cache: it is made again."
        assert load_truth(clip) != load_truth(other)
        # With its digest, too: it says what the file was made from.
        path.write_bytes(source.read_bytes())
        digest_path(path).write_bytes(digest_path(source).read_bytes())
        assert ensure_clip(SMALL, tmp_path, warn=said.append).read_bytes() == before
        assert said.pop() == f"{path} was made from something else: it is made again."
    assert said == []


def test_a_failing_encoder_is_a_video_error_with_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho no encoder today >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("VBENCH_FFMPEG", str(broken))
    with pytest.raises(VideoError, match=r"exit status 3\): no encoder today"):
        ensure_clip(SMALL, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_processes_may_make_the_same_clip_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=ensure_clip, args=(SMALL, tmp_path)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    clip = clip_path(SMALL, tmp_path)
    assert len(pictures(clip)) == 20
    assert sorted(tmp_path.iterdir()) == with_digests(clip, truth_path(clip))
