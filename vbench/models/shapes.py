"""The ``shapes`` detector: finds the shapes of synthetic scenes, fast enough for one CPU core."""

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vbench.models.forward_pass import Rows
from vbench.models.nms import suppress, suppress_within
from vbench.models.protocol import ModelError
from vbench.models.settings import ModelSettings
from vbench.models.shapes_net import ARCHITECTURE, ShapesNet, decode
from vbench.models.torch_detector import NEEDS_HOST_NMS, Predictions, TorchDetector, pack_rows
from vbench.video.types import FrameGeometry

BUNDLED = Path(__file__).with_name("shapes.safetensors")
TRAIN_AGAIN = "python -m vbench.models.train_shapes"

MAX_CANDIDATES = 300
"""Best cells of a frame that compete in non-maximum suppression."""
SUPPRESS_ABOVE = 0.6
"""IoU above which the lower of two detections is dropped, whatever their classes."""
AT_ONCE, ROUNDS = 128, 5
"""Candidates of a frame, and rounds of ``suppress``, that a GPU takes without being asked whether it must."""


class ShapesDetector(TorchDetector):
    """``Detector`` for the classes of ``vbench.video.scenes.shapes``; see the protocol for its methods."""

    def __init__(self, settings: ModelSettings, threads: int = 1) -> None:
        super().__init__(settings, threads)
        self.at_once = AT_ONCE
        """Candidates of a frame beyond which a GPU leaves it to the host."""
        self._path = BUNDLED if settings.weights == "bundled" else Path(settings.weights)
        self._class_names: tuple[str, ...] = ()
        self._fingerprint = ""

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
            settings = self.fingerprinted_settings()
            facts = json.dumps([ARCHITECTURE, MAX_CANDIDATES, SUPPRESS_ABOVE, settings], sort_keys=True)
            digest = hashlib.sha256(facts.encode())
            digest.update(_require_file(self._path).read_bytes())
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def _build(self) -> nn.Module:
        self._class_names, weights = read_weights(self._path)
        net = ShapesNet(len(self._class_names)).fuse_batch_norm()
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise _unfit(self._path, "do not fit the network") from error
        with torch.no_grad():  # the network then takes 0 to 255, and no pass over the pixels is spent on it
            net.stride_4.conv.weight.div_(255)
        return net

    def _choose(self, predictions: Predictions, geometry: FrameGeometry) -> Tensor:
        logits, boxes = decode(predictions[0], len(self._class_names))
        return _select(logits, boxes, self.settings.score_threshold, geometry, self.at_once)

    def kept_rows(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """bool[N, K]: the rows that are detections; frames that the GPU left open go through NMS here."""
        kept = super().kept_rows(rows)
        for frame in np.flatnonzero((rows[..., 6] == NEEDS_HOST_NMS).any(1)):
            row = torch.from_numpy(rows[frame : frame + 1])
            candidate = row[..., 4] >= self.settings.score_threshold
            kept[frame] = suppress(row[..., :4], candidate, SUPPRESS_ABOVE)[0].numpy()
        return kept


def _select(
    logits: Tensor, boxes: Tensor, score_threshold: float, geometry: FrameGeometry, at_once: int
) -> Tensor:
    """Keep each frame's best cells, drop repeats: logits [N, A, classes], boxes [N, A, 4] -> rows.

    A GPU is not asked how many there are: there a frame of many candidates, or whose overlaps take
    many rounds, is left NEEDS_HOST_NMS.
    """
    scores, classes = logits.sigmoid().max(-1)
    count = MAX_CANDIDATES
    if not scores.is_cuda:
        count = min(int((scores >= score_threshold).sum(-1).max()), MAX_CANDIDATES)
    scores, cells = scores.topk(count, dim=-1)
    boxes = boxes.gather(1, cells[..., None].expand(-1, -1, 4))
    boxes[..., 0::2].clamp_(0, geometry.width)
    boxes[..., 1::2].clamp_(0, geometry.height)
    candidate = scores >= score_threshold
    if scores.is_cuda:
        verdicts = decide_at_once(boxes, candidate, at_once)
    else:
        verdicts = suppress(boxes, candidate, SUPPRESS_ABOVE)
    return pack_rows(boxes, scores, classes.gather(1, cells), verdicts)


def decide_at_once(boxes: Tensor, candidate: Tensor, at_once: int = AT_ONCE) -> Tensor:
    """What to keep of boxes [N, K, 4] and candidates bool[N, K], without waiting for the device: int[N, K].

    KEPT and DROPPED are those of ``suppress``; where it takes more than ``at_once`` candidates or ROUNDS
    rounds, all of the frame is NEEDS_HOST_NMS.
    """
    kept, settled = suppress_within(boxes[:, :at_once], candidate[:, :at_once], SUPPRESS_ABOVE, ROUNDS)
    settled &= ~candidate[:, at_once:].any(-1)
    verdicts = candidate.new_zeros(candidate.shape, dtype=torch.int8)
    verdicts[:, :at_once] = kept
    return verdicts.masked_fill(~settled[:, None], NEEDS_HOST_NMS)


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


def _require_file(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"no model weights at {path}: {_remedy(path)}")
    return path


def _unfit(path: Path, why: str) -> ModelError:
    return ModelError(f"the model weights in {path} {why}: {_remedy(path)}")


def _remedy(path: Path) -> str:
    """What to do instead, by the dotted key that a trial and a service have in common."""
    bundled = "use model.weights=bundled"
    if path.is_dir():
        return bundled
    return f"{bundled}, or make them with: {TRAIN_AGAIN} --out {shlex.quote(str(path))}"
