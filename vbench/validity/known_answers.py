"""Rules that check detector and decoder against results that neither service nor reference pass produced."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.record.clip import Clip, ReferenceChecks
from vbench.record.requests import Request
from vbench.record.trial import Rule
from vbench.validity.catalog.answers import DETECTIONS_CHANGE, PLAIN_DETECTOR_AGREES, SCENE_SHOWN

MOST_WRONG_SHARE = 0.05
"""Share of the objects that may differ: if two boxes overlap by exactly what suppression allows, rounding
decides which of them is kept."""

LEAST_LIKENESS = 0.75
"""Honest trials reach 0.999, and 0.95 at the worst quality (crf 51). Of 60 scenes no two reached more than
0.48; the same scene has 0.6 after a second."""

MOST_DETAIL_LOST = 0.25
"""Frames of honest trials lose up to 0.08 (crf 51, native size); at half the resolution they lose 0.5 and
more (bicubic or Lanczos)."""

LEAST_DETAIL = 1.5
"""With less detail in a picture, in levels of luma, rounding is most of what is compared."""

LEAST_LEVELS_SHARE = 0.65
"""Frames of honest trials have 0.85 of the levels and more; at 128 levels it is 0.5."""


def judge(config: Config, clip: Clip | None, requests: Sequence[Request]) -> Iterator[Rule]:
    """The rules; none for a load without a video, or for older records without checks of the reference
    pass."""
    if clip is None or workload_of(config) != VIDEO or not clip.checks:
        return
    if config.model.name == "shapes":
        yield _detector(clip.checks)
    if config.video.scene is not None:
        yield _repeated(clip.checks, [request for request in requests if request.error is None])
        yield _pictures(clip.checks)


def _detector(checks: Sequence[ReferenceChecks]) -> Rule:
    worst = max(checks, key=lambda one: one.plain_wrong / max(1, one.plain_objects))
    frames = sum(one.plain_frames for one in checks)
    observed = (
        f"{sum(one.plain_wrong for one in checks)} of {sum(one.plain_objects for one in checks)} objects in"
        f" {frames} frames differ from those of a plain implementation"
    )
    return PLAIN_DETECTOR_AGREES.verdict(
        passed=all(one.plain_frames for one in checks)
        and worst.plain_wrong <= MOST_WRONG_SHARE * worst.plain_objects,
        observed=observed + (f"; first: {worst.plain_first}" if worst.plain_first else ""),
    )


def _repeated(checks: Sequence[ReferenceChecks], answered: Sequence[Request]) -> Rule:
    moved = sum(one.frames_moved or 0 for one in checks)
    in_reference = sum(one.frames_repeated or 0 for one in checks)
    in_responses = sum(one.detections_repeated or 0 for one in answered)
    return DETECTIONS_CHANGE.verdict(
        passed=not in_reference and not in_responses,
        observed=(
            f"{in_reference} of {moved} frames of the reference pass and {in_responses} frames of the"
            " responses repeat the detections of the previous frame, although objects have moved"
            if in_reference or in_responses
            else f"objects have moved in {moved} frames of the reference pass, and no detections are repeated"
        ),
    )


def _pictures(checks: Sequence[ReferenceChecks]) -> Rule:
    problems = [text for one in checks for text in _faults(one)]
    compared = sum(one.pictures for one in checks)
    likeness = min((one.likeness for one in checks if one.likeness is not None), default=0.0)
    lost = max((one.detail_lost or 0.0 for one in checks if _has_detail(one)), default=0.0)
    return SCENE_SHOWN.verdict(
        passed=not problems,
        observed=(
            problems[0]
            if problems
            else f"{compared} frames compared: likeness {likeness:.3f}, minimum {LEAST_LIKENESS:g};"
            f" {100 * lost:.0f}% of the finest detail lost, limit {100 * MOST_DETAIL_LOST:g}%"
        ),
    )


def _faults(one: ReferenceChecks) -> Iterator[str]:
    if not one.pictures or one.likeness is None or one.levels_share is None:
        yield "no frame could be compared with a plain decoder's"
        return
    if one.likeness < LEAST_LIKENESS:
        yield (
            f"frames do not show the rendered picture: likeness {one.likeness:.2f}, minimum"
            f" {LEAST_LIKENESS:g}"
        )
    if _has_detail(one) and (one.detail_lost or 0.0) > MOST_DETAIL_LOST:
        yield (
            f"frames have less resolution than the video: {100 * (one.detail_lost or 0.0):.0f}% of the finest"
            f" detail of a plain decoder's frames is lost, limit {100 * MOST_DETAIL_LOST:g}%"
        )
    if one.levels_share < LEAST_LEVELS_SHARE:
        yield (
            f"frames have {100 * one.levels_share:.0f}% of the grey levels of a plain decoder's frames,"
            f" minimum {100 * LEAST_LEVELS_SHARE:g}%"
        )


def _has_detail(one: ReferenceChecks) -> bool:
    return one.detail is not None and one.detail >= LEAST_DETAIL
