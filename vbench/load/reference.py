"""The reference pass: one run of FFmpeg over the whole video, with which every response is compared."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vbench.load.events import note
from vbench.load.known_scene import KnownScene
from vbench.load.reference_checks import ReferenceChecker, is_checked
from vbench.models.average_precision import mean_average_precision
from vbench.models.matching import LabelledBoxes, disagreements
from vbench.models.protocol import Detections, Detector
from vbench.pipeline.request_settings import RequestSettings
from vbench.record.clip import ReferenceChecks
from vbench.record.files import write_json
from vbench.video.cache import is_intact, store
from vbench.video.cross_check.one_pass import plain_pass
from vbench.video.digest import frame_digests
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version
from vbench.video.scenes.shapes import SHAPES
from vbench.video.types import FrameGeometry, TruthBox, VideoInfo

REFERENCE_VERSION = 3
"""Incremented when the pass itself changes; older caches are then not used."""

DECODE_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFrame:
    """One expected frame and its objects."""

    pts: int
    digest: str
    names: list[str]
    scores: list[float]
    boxes: list[list[float]]
    """x1, y1, x2, y2 in pixels of the upright picture."""
    moved: bool | None = None
    """Whether objects of the scene have moved since the frame before; None for other videos."""

    def labelled_boxes(self) -> LabelledBoxes:
        """The objects as arrays."""
        return _labelled_boxes(self.names, self.scores, self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """All frames of a correct response, in order."""

    frames: list[ReferenceFrame]
    map50: float | None
    """mAP at IoU 0.5 against the ground truth; None if there is none."""
    checks: ReferenceChecks | None = None
    """Of some of its frames, against implementations that neither it nor the service uses."""


def _labelled_boxes(names: list[str], scores: list[float], boxes: list[list[float]]) -> LabelledBoxes:
    return LabelledBoxes(
        names=names,
        scores=np.array(scores, np.float64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
    )


def ensure_reference(
    info: VideoInfo,
    clip_fingerprint: str,
    request: RequestSettings,
    geometry: FrameGeometry,
    detector: Detector,
    known: KnownScene | None,
    cache: Path,
    progress: Callable[[int], None],
) -> tuple[Path, Reference]:
    """The reference of this clip, sampling, frame size and detector, from ``cache`` or made now.

    ``request``: which frames are sampled; ``known``: what a scene shows, None for other videos. The detector
    must be loaded. ``progress`` gets the number of frames done. A cached reference that was replaced is made
    again, with a note on the console. VideoError for a video that cannot be decoded completely.
    """
    key = {
        "version": REFERENCE_VERSION,
        "clip": clip_fingerprint,
        "fps": str(request.fps),
        "keyframes_only": request.args.keyframes_only,
        "geometry": asdict(geometry),
        "detector": detector.fingerprint,
        "scene": None if known is None else [known.settings.fingerprint, known.begins_at],
        "ffmpeg": ffmpeg_version(ffmpeg_path()),
    }
    name = hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=12).hexdigest()
    path = cache / f"{name}.json"
    if is_intact(path, key, note):
        return path, _read(path)
    frames: list[ReferenceFrame] = []
    detected: list[Detections] = []
    truths = []
    checker = ReferenceChecker(
        info=info,
        fingerprint=clip_fingerprint,
        geometry=geometry,
        model=request.args.model,
        known=known,
    )
    passes = plain_pass(
        Path(info.path),
        fps=request.fps,
        geometry=geometry,
        rotation=info.rotation,
        flipped=info.flipped,
        threads=2,
        timeout_s=DECODE_TIMEOUT_S,
        keyframes_only=request.args.keyframes_only,
    )
    for batch in passes:
        start = len(frames)
        # Copies, because a detector may change the pixels that it is given.
        checked = {
            index: batch.pixels[index - start].copy()
            for index in range(start, start + len(batch.pts))
            if is_checked(index, variant=checker.is_variant)
        }
        for pts, digest, detections in zip(
            batch.pts.tolist(), frame_digests(batch), detector.detect(batch.pixels), strict=True
        ):
            boxes = batch.geometry.to_source(detections.boxes)
            detected.append(Detections(classes=detections.classes, scores=detections.scores, boxes=boxes))
            frames.append(
                ReferenceFrame(
                    pts=pts,
                    digest=digest,
                    names=[detector.class_names[i] for i in detections.classes],
                    scores=detections.scores.tolist(),
                    boxes=boxes.tolist(),
                    moved=_moved(known, info, frames[-1].pts if frames else pts, pts),
                )
            )
            if known is not None:
                truths.append(known.boxes(info.time_s(pts)))
        for index, pixels in checked.items():
            checker.add(index, frames[index].pts, pixels, frames[index].labelled_boxes())
        progress(len(frames))
    reference = Reference(
        frames=frames,
        map50=_map50(detected, truths, detector.class_names) if known else None,
        checks=checker.result(
            [frame.moved for frame in frames], [frame.labelled_boxes() for frame in frames]
        ),
    )
    cache.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{os.getpid()}.part")
    try:
        write_json(half, reference)
        store(half, path, key)
    finally:
        half.unlink(missing_ok=True)
    return path, reference


def _moved(known: KnownScene | None, info: VideoInfo, before: int, pts: int) -> bool | None:
    return None if known is None else known.has_moved(info.time_s(before), info.time_s(pts))


def _map50(
    detected: list[Detections], truths: list[tuple[TruthBox, ...]], class_names: Sequence[str]
) -> float | None:
    """None for a detector that does not know the scene's classes, and for a scene without objects."""
    if not set(SHAPES) <= set(class_names):
        return None
    precision = mean_average_precision(detected, truths, class_names)
    return precision.mean if precision.wanted else None


def _read(path: Path) -> Reference:
    data: dict[str, Any] = json.loads(path.read_text())
    checks = data.get("checks")
    return Reference(
        frames=[ReferenceFrame(**frame) for frame in data["frames"]],
        map50=data["map50"],
        checks=ReferenceChecks(**checks) if checks else None,
    )


def read_reference(path: str) -> Reference:
    """The reference pass at a path that ``ensure_reference`` gave."""
    return _read(Path(path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a response compares with the reference."""

    frames_got: int
    frames_wrong: int
    detections: int
    detections_wrong: int
    detections_repeated: int
    mismatch: str | None


def check(reference: Reference, answer: dict[str, Any], threshold: float) -> Verdict:
    """Compare the JSON response of the service with the reference, frame by frame and object by object."""
    got = [frame for chunk in answer["chunks"] for frame in chunk["frames"]]
    wrong = abs(len(got) - len(reference.frames))
    notes = [f"{len(got)} frames instead of {len(reference.frames)}"] if wrong else []
    objects = objects_wrong = repeated = 0
    for index, frame in enumerate(got):
        objects += len(frame["detections"])
        if index >= len(reference.frames):
            continue
        expected = reference.frames[index]
        if expected.moved and index and frame["detections"] == got[index - 1]["detections"] != []:
            repeated += 1
        if (frame["pts"], frame["digest"]) != (expected.pts, expected.digest):
            wrong += 1
            what = "different bytes" if frame["pts"] == expected.pts else f"pts {frame['pts']}"
            notes.append(f"frame {index} (pts {expected.pts}) arrived with {what}")
            continue
        detections = frame["detections"]
        differing = disagreements(
            expected.labelled_boxes(),
            _labelled_boxes(
                [d["class_name"] for d in detections],
                [d["score"] for d in detections],
                [d["box"] for d in detections],
            ),
            threshold,
        )
        objects_wrong += len(differing)
        notes += [f"frame {index} (pts {expected.pts}): {text}" for text in differing]
    return Verdict(
        frames_got=len(got),
        frames_wrong=wrong,
        detections=objects,
        detections_wrong=objects_wrong,
        detections_repeated=repeated,
        mismatch=notes[0] if notes else None,
    )
