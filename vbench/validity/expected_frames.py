"""The rules that check service and reference pass against what is known without either."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.models.inputs import input_spec
from vbench.record.clip import Clip
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.catalog.answers import FRAME_COUNT, FRAME_SIZE, OBJECTS_FOUND

MOST_OFF_SHARE = 0.05
MOST_OFF_FRAMES = 2
"""The larger of the two is the allowed difference between a file's frames and the times in its container,
which do not say which pictures a decoder drops at a cut. The frames of a scene must be exact."""


def judge(config: Config, clip: Clip | None, requests: Sequence[Request]) -> Iterator[Rule]:
    """The rules; none for a load without a video, and none without a response, which breaks another rule."""
    answered = [request for request in requests if request.error is None]
    if clip is None or workload_of(config) != VIDEO or not answered:
        return
    yield _frame_count(config, clip, answered)
    yield _frame_size(config, clip, answered)
    yield from _objects(config, clip)


def scene_frames(length_s: float, rate: Fraction, fps: Fraction) -> int:
    """Number of frames sampled from a scene at ``fps``: the first in each period, at most all."""
    frames = round(Fraction(length_s) * rate)
    return frames if fps >= rate else int((frames - 1) * fps / rate) + 1


def _frame_count(config: Config, clip: Clip, answered: Sequence[Request]) -> Rule:
    counts = sorted({clip.frames_expected, *(request.frames_got for request in answered)})
    fps = Fraction(config.pipeline.fps)
    least = most = None
    if config.video.scene is not None:
        scene = config.video.scene
        least = most = scene_frames(scene.length_s, Fraction(scene.fps), fps)
        promised = f"a scene of {scene.length_s:g} s at {scene.fps} frames/s has {most}"
    elif clip.periods_filled is not None:
        off = max(MOST_OFF_FRAMES, int(MOST_OFF_SHARE * clip.periods_filled))
        least, most = clip.periods_filled - off, clip.periods_filled + off
        promised = f"the container's times give {clip.periods_filled}, plus or minus {off}"
    if least is None or most is None:
        promised, passed = (
            "the record does not say how many the container promises: run the trial again",
            True,
        )
    else:
        # Each keyframe stands in for several frames, so there are fewer.
        least = 1 if config.pipeline.keyframes_only else max(1, least)
        passed = least <= counts[0] and counts[-1] <= most
    frames = " and ".join(str(count) for count in (counts[0], counts[-1])[: len(counts)])
    return FRAME_COUNT.verdict(
        passed=passed,
        observed=f"{frames} frames per request; at {config.pipeline.fps} frames/s {promised}",
    )


def _frame_size(config: Config, clip: Clip, answered: Sequence[Request]) -> Rule:
    width, height = clip.width, clip.height
    if config.pipeline.frame_size == "model":
        spec = input_spec(config.model.name)
        width, height = spec.width, spec.height
    frame_bytes = width * height * 3 // (1 if config.pipeline.pixel_format == "rgb24" else 2)
    wrong = next((r for r in answered if r.frame_bytes != r.frames_got * frame_bytes), None)
    shape = f"{width} x {height} in {config.pipeline.pixel_format} ({frame_bytes} bytes)"
    bytes_per_frame = wrong.frame_bytes / max(1, wrong.frames_got) if wrong else frame_bytes
    return FRAME_SIZE.verdict(
        passed=wrong is None,
        observed=(
            shape
            if wrong is None
            else f"request {wrong.index}: {bytes_per_frame:.0f} bytes per frame, not {shape}"
        ),
    )


def _objects(config: Config, clip: Clip) -> Iterator[Rule]:
    """For a detector that was trained on scenes, on a scene with objects."""
    scene, model = config.video.scene, config.model
    if scene is None or not scene.objects or model.name != "shapes" or model.weights == "random":
        return
    map50, least = clip.reference_map50, config.load.min_scene_map50
    yield OBJECTS_FOUND.verdict(
        passed=map50 is not None and map50 >= least,
        observed=(
            "the mAP was not computed"
            if map50 is None
            else f"mAP at IoU 0.5 is {map50:.3f}; minimum {least:g}"
        ),
    )
