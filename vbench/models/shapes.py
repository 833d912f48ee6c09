"""The ``shapes`` detector: finds the shapes of synthetic scenes, fast enough for one CPU core."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vbench.models.boxes import suppress
from vbench.models.pictures import picture_size, to_pictures
from vbench.models.protocol import Detections, InputSpec, ModelError, ModelSettings, Precision
from vbench.models.registry import input_spec
from vbench.models.shapes_net import ARCHITECTURE, ShapesNet, decode
from vbench.video.types import FrameGeometry

BUNDLED = Path(__file__).with_name("shapes.safetensors")
TRAIN_AGAIN = "python -m vbench.models.train_shapes"

MAX_CANDIDATES = 300
"""Best cells of a frame that compete in non-maximum suppression."""
SUPPRESS_ABOVE = 0.6
"""IoU above which the lower of two detections is dropped, whatever their classes."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class ShapesDetector:
    """``Detector`` for the classes of ``vbench.video.scene_shapes``; see the protocol for its methods."""

    def __init__(self, settings: ModelSettings) -> None:
        _check(settings)
        self.settings = settings
        self._path = BUNDLED if settings.weights == "bundled" else Path(settings.weights)
        self._input = input_spec("shapes")
        self._net: Callable[[Tensor], Tensor] | None = None
        self._dtype = DTYPES[settings.precision]
        self._layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        self._class_names: tuple[str, ...] = ()
        self._fingerprint = ""

    @property
    def input(self) -> InputSpec:
        """The frame size it works at."""
        return self._input

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class index, as stored with the weights."""
        if not self._class_names:
            self._class_names, _ = read_weights(self._path)
        return self._class_names

    @property
    def fingerprint(self) -> str:
        """64 hex digits of architecture, weights and settings."""
        if not self._fingerprint:
            settings = {key: value for key, value in asdict(self.settings).items() if key != "weights"}
            facts = json.dumps([ARCHITECTURE, MAX_CANDIDATES, SUPPRESS_ABOVE, settings], sort_keys=True)
            digest = hashlib.sha256(facts.encode())
            digest.update(_require_file(self._path).read_bytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def load(self) -> None:
        """Read the weights, move them to the device, run once; ModelError where that cannot be."""
        self._class_names, weights = read_weights(self._path)
        net = ShapesNet(len(self._class_names)).fold()
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise _unfit(self._path, "do not fit the network") from error
        with torch.no_grad():  # the network then takes 0 to 255, and no pass over the pixels is spent on it
            net.stride_4.conv.weight.div_(255)
        device = _require_device(self.settings.device)
        if device.type == "cpu":
            torch.set_num_threads(self.settings.threads)
        net = net.eval().to(device, self._dtype)
        for weight in net.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=self._layout)
        self._net = torch.compile(net, dynamic=False) if self.settings.compile else net
        blank = np.zeros((self.settings.batch_size, self._input.height, self._input.width, 3), np.uint8)
        try:
            self.detect(blank)
        except RuntimeError as error:
            if not self.settings.compile:
                raise
            first_line = str(error).strip().splitlines()[0]
            raise ModelError(
                f"the model cannot be compiled ({first_line}): install a C++ compiler (g++) on the nodes "
                "that run it, or take compile=false"
            ) from error

    def detect(self, batch: npt.NDArray[np.uint8]) -> list[Detections]:
        """Detect in frames as the protocol says; N results, boxes in pixels of the frames given."""
        picture_size(batch)
        if self._net is None:
            raise ModelError("the shapes detector is not loaded: call load() first")
        size = self.settings.batch_size
        found: list[Detections] = []
        with torch.inference_mode():
            for start in range(0, len(batch), size):
                found += self._detect_at_once(self._net, batch[start : start + size])
        return found

    def _detect_at_once(
        self, net: Callable[[Tensor], Tensor], frames: npt.NDArray[np.uint8]
    ) -> list[Detections]:
        # A copy, since torch warns of read-only arrays; it is a hundredth of the forward pass.
        pixels = torch.from_numpy(np.array(frames, order="C")).to(self.settings.device, non_blocking=True)
        pictures, geometry = to_pictures(pixels, self._input)
        if self.settings.compile and len(frames) < self.settings.batch_size:
            # What is compiled has one shape: another would be compiled anew, for minutes.
            missing = self.settings.batch_size - len(frames)
            pictures = torch.cat((pictures, pictures.new_zeros(missing, *pictures.shape[1:])))
        predictions = net(pictures.to(self._dtype, memory_format=self._layout))[: len(frames)].float()
        logits, boxes = decode(predictions, len(self._class_names))
        return _select(logits, boxes, self.settings.score_threshold, geometry)


def _select(
    logits: Tensor, boxes: Tensor, score_threshold: float, geometry: FrameGeometry
) -> list[Detections]:
    """Keep each frame's best cells, drop repeats: logits [N, A, classes], boxes [N, A, 4] -> N detections."""
    scores, classes = logits.sigmoid().max(-1)
    enough = int((scores >= score_threshold).sum(-1).max())
    scores, cells = scores.topk(min(enough, MAX_CANDIDATES), dim=-1)
    boxes = boxes.gather(1, cells[..., None].expand(-1, -1, 4))
    boxes[..., 0::2].clamp_(0, geometry.width)
    boxes[..., 1::2].clamp_(0, geometry.height)
    kept = suppress(boxes, scores >= score_threshold, SUPPRESS_ABOVE).cpu().numpy()
    all_scores, all_boxes = scores.cpu().numpy(), boxes.cpu().numpy()
    all_classes = classes.gather(1, cells).cpu().numpy()
    return [
        Detections(classes=c[k], scores=s[k], boxes=geometry.to_source(b[k]))
        for c, s, b, k in zip(all_classes, all_scores, all_boxes, kept, strict=True)
    ]


def read_weights(path: Path) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    """Read class names and float32 weights from a file that ``train_shapes`` wrote; ModelError otherwise."""
    try:
        with safe_open(_require_file(path), framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no dict
    except (SafetensorError, OSError) as error:
        raise _unfit(path, "are damaged or no safetensors file") from error
    if metadata.get("architecture") != ARCHITECTURE:
        raise _unfit(path, f"are for {metadata.get('architecture', 'another network')}, not {ARCHITECTURE}")
    try:
        return tuple(str(name) for name in json.loads(metadata["class_names"])), weights
    except (KeyError, ValueError, TypeError) as error:
        raise _unfit(path, "name no classes") from error


def _check(settings: ModelSettings) -> None:
    if settings.batch_size < 1:
        raise ModelError(f"model batch_size {settings.batch_size} holds no frame: take 1 or more")
    if settings.threads < 1:
        raise ModelError(f"model threads {settings.threads} cannot compute: take 1 or more")
    if settings.precision not in get_args(Precision):
        raise ModelError(f"model precision {settings.precision!r} is unknown: take {', '.join(DTYPES)}")
    if not 0 < settings.score_threshold < 1:
        raise ModelError(
            f"model score_threshold {settings.score_threshold} is not between 0 and 1: take e.g. 0.3"
        )


def _require_file(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"no model weights at {path}: {_remedy(path)}")
    return path


def _unfit(path: Path, why: str) -> ModelError:
    return ModelError(f"the model weights in {path} {why}: {_remedy(path)}")


def _remedy(path: Path) -> str:
    return f"take weights=bundled, or make them with '{TRAIN_AGAIN} --out {path}'"


def _require_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise _unknown_device(name) from error
    if device.type not in {"cpu", "cuda"}:
        raise _unknown_device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"model device {name!r} is not there (this machine has {torch.cuda.device_count()} CUDA devices "
            "that torch can use): take device=cpu"
        )
    return device


def _unknown_device(name: str) -> ModelError:
    return ModelError(f"model device {name!r} is unknown: take cpu, cuda or cuda:N")
