"""A second, plain implementation of the ``shapes`` detector, which shares no code with the one that serves.

One picture at a time, in float32, with none of the shortcuts of ``vbench.models.shapes``: no batches, no
folded scaling of pixels, no reduced precision, no graphs; resizing, conversion and suppression are in numpy.
What both share is the file of weights. It tells whether the served detector saw the frames that it was given.
"""

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the name the field knows it by
from safetensors import safe_open
from torch import Tensor

from vbench.models.matching import LabelledBoxes
from vbench.models.protocol import ModelError

Plane = npt.NDArray[np.float64]

BUNDLED_SHA256 = "3e91a470c067a714a597e6279e53b3c700f62b3545e7a89bf81490a62e0cb59d"
"""Of the weights in the package; whoever trains them again writes their new digest here."""

WIDTH, HEIGHT, STRIDE = 640, 360, 8
"""Pixels of the network's picture and of a cell."""
GREY = 114.0
"""Of what a letterboxed picture does not cover."""
MOST_LOG_DISTANCE = 3.7
MOST_CANDIDATES = 300
SUPPRESS_ABOVE = 0.6
"""IoU above which the detection with the lower score is dropped."""


class PlainShapes:
    """Detects in single pictures."""

    def __init__(self, weights: Path) -> None:
        """``weights``: a file that ``vbench.models.train_shapes`` wrote, normalisations folded."""
        with safe_open(weights, framework="pt") as file:
            self._names: list[str] = json.loads((file.metadata() or {})["class_names"])
            self._weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118

    @classmethod
    def of(cls, weights: str, bundled: Path) -> "PlainShapes":
        """The detector with ``weights`` as ``ModelSettings`` has them; ``bundled``: where the package's lie.

        ModelError if those were replaced.
        """
        if weights != "bundled":
            return cls(Path(weights))
        if hashlib.sha256(bundled.read_bytes()).hexdigest() != BUNDLED_SHA256:
            raise ModelError(
                f"the weights in {bundled} are not those of this version of vbench: install it again, or"
                f" say that you mean these: {shlex.quote(f'model.weights={bundled}')}"
            )
        return cls(bundled)

    def detect(self, frame: npt.NDArray[np.uint8], threshold: float) -> LabelledBoxes:
        """What is in uint8[H, W, 3] (rgb24) or uint8[3 H / 2, W] (yuv420p, BT.709 in limited range), best
        score first; boxes in pixels of the frame."""
        width, height = frame.shape[1], frame.shape[0] if frame.ndim == 3 else frame.shape[0] * 2 // 3
        scale = min(WIDTH / width, HEIGHT / height)
        inner_width, inner_height = round(width * scale), round(height * scale)
        left, top = (WIDTH - inner_width) // 2, (HEIGHT - inner_height) // 2
        picture = np.full((3, HEIGHT, WIDTH), GREY)
        picture[:, top : top + inner_height, left : left + inner_width] = _rgb(
            frame, width, height, inner_width, inner_height
        )
        scores, boxes = self._predict(torch.from_numpy(picture).float() / 255)
        best = scores.max(1)
        order = np.argsort(-best, kind="stable")[:MOST_CANDIDATES]
        chosen = _suppressed(boxes[order], order[best[order] >= threshold].size)
        kept = order[chosen]
        source_boxes = boxes[kept]
        source_boxes[:, 0::2] = np.clip((source_boxes[:, 0::2] - left) * width / inner_width, 0, width)
        source_boxes[:, 1::2] = np.clip((source_boxes[:, 1::2] - top) * height / inner_height, 0, height)
        return LabelledBoxes(
            names=[self._names[index] for index in scores[kept].argmax(1)],
            scores=best[kept],
            boxes=source_boxes,
        )

    @torch.inference_mode()
    def _predict(self, picture: Tensor) -> tuple[Plane, Plane]:
        """float[3, 360, 640], 0 to 1 -> scores [3600, classes] and boxes [3600, 4] in its pixels."""
        fine = self._chain(self._unit(picture[None], "stride_4", stride=4), "stride_8", (2, 1))
        middle = self._chain(fine, "stride_16", (2, 1, 1))
        coarse = self._chain(middle, "stride_32", (2, 1))
        middle = self._unit(middle + _doubled(self._mixed(coarse, "lateral_32"), middle), "merge_16")
        merged = self._chain(fine + _doubled(self._mixed(middle, "lateral_16"), fine), "merge_8", (1, 1))
        predicted = self._mixed(merged, "predict")[0].double().numpy()
        classes = len(self._names)
        scores = 1 / (1 + np.exp(-predicted[:classes]))
        distances = np.exp(np.minimum(predicted[classes:], MOST_LOG_DISTANCE)) * STRIDE
        rows, columns = np.indices(distances.shape[1:])
        x, y = (columns + 0.5) * STRIDE, (rows + 0.5) * STRIDE
        left, top, right, bottom = distances
        boxes = np.stack((x - left, y - top, x + right, y + bottom), axis=-1).reshape(-1, 4)
        boxes = np.clip(boxes, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
        return scores.reshape(classes, -1).T, boxes

    def _chain(self, features: Tensor, name: str, strides: tuple[int, ...]) -> Tensor:
        for number, stride in enumerate(strides):
            features = self._unit(features, f"{name}.{number}", stride=stride)
        return features

    def _unit(self, features: Tensor, name: str, stride: int = 1) -> Tensor:
        weight, bias = self._weights[f"{name}.conv.weight"], self._weights[f"{name}.conv.bias"]
        return F.relu(F.conv2d(features, weight, bias, stride=stride, padding=1))

    def _mixed(self, features: Tensor, name: str) -> Tensor:
        return F.conv2d(features, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])


def _doubled(coarse: Tensor, like: Tensor) -> Tensor:
    doubled = coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return doubled[:, :, : like.shape[2], : like.shape[3]]


def _suppressed(boxes: Plane, candidates: int) -> list[int]:
    """Indices of those of the first ``candidates`` boxes, best first, that no better one covers."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    for index in range(candidates):
        near, far = (
            np.maximum(boxes[kept, :2], boxes[index, :2]),
            np.minimum(boxes[kept, 2:], boxes[index, 2:]),
        )
        shared = np.clip(far - near, 0, None).prod(1)
        if not (shared > SUPPRESS_ABOVE * (areas[kept] + areas[index] - shared)).any():
            kept.append(index)
    return kept


def _rgb(frame: npt.NDArray[np.uint8], width: int, height: int, to_width: int, to_height: int) -> Plane:
    """[3, to_height, to_width], 0 to 255."""
    if frame.ndim == 3:
        return np.stack([resized(frame[..., part], to_width, to_height) for part in range(3)])
    chroma = frame[height:].reshape(2, height // 2, width // 2)
    luma = (resized(frame[:height], to_width, to_height) - 16) / 219
    blue, red = ((resized(plane, to_width, to_height) - 128) / 224 for plane in chroma)
    # ITU-R BT.709-6, 3.2 and 3.4
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    return np.clip(np.stack((r, (luma - 0.2126 * r - 0.0722 * b) / 0.7152, b)) * 255, 0, 255)


def resized(plane: npt.NDArray[np.uint8], width: int, height: int) -> Plane:
    """uint8[H, W] in another size, by a triangle as wide as a pixel of the smaller size; whole numbers, since
    frames are made of them, rounded after each direction."""
    if plane.shape == (height, width):
        return plane.astype(np.float64)
    across = np.floor(plane @ _triangles(plane.shape[1], width).T + 0.5)
    return np.asarray(np.floor(_triangles(plane.shape[0], height) @ across + 0.5))


def _triangles(size: int, to_size: int) -> Plane:
    """float[to_size, size]: the share that each pixel has in each new one."""
    ratio = size / to_size
    centres = (np.arange(to_size) + 0.5) * ratio
    apart = np.abs(np.arange(size) + 0.5 - centres[:, None]) / max(ratio, 1)
    weights = np.clip(1 - apart, 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True))
