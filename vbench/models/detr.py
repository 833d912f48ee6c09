"""The detectors ``rtdetr`` (RT-DETRv2) and ``dfine`` (D-FINE), as the package transformers has them.

Zhao et al., "DETRs Beat YOLOs on Real-time Object Detection", CVPR 2024; Lv et al., "RT-DETRv2", 2024;
Peng et al., "D-FINE", ICLR 2025. Both look at 640 x 640 and need no suppression of repeats.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError
from torch import Tensor, nn

from vbench.errors import first_line
from vbench.models.protocol import RANDOM, ModelError
from vbench.models.settings import ModelSettings
from vbench.models.torch_detector import Predictions, TorchDetector, pack_rows
from vbench.video.types import FrameGeometry

CLASSES = {
    "rtdetr": ("RTDetrV2Config", "RTDetrV2ForObjectDetection"),
    "dfine": ("DFineConfig", "DFineForObjectDetection"),
}
"""Name -> configuration and model in transformers."""

ARCHITECTURE = "detr-1"
"""Raised when what is done before or after the network changes."""

COCO_CLASSES = 80
SEED = 0
"""Of random weights: every replica draws the same."""


class DetrDetector(TorchDetector):
    """``Detector`` of 80 COCO classes, or of those that a checkpoint names."""

    def __init__(self, settings: ModelSettings, threads: int = 1) -> None:
        super().__init__(settings, threads)
        if settings.weights == "bundled":
            raise ModelError(
                f"{settings.name} comes without weights: give a folder, a name on the Hugging Face hub, or "
                f"{RANDOM} for the cost of computing alone"
            )
        self._model: Any = None
        self._fingerprint = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by class index, as the checkpoint's configuration has them."""
        names = self._checkpoint().config.id2label
        return tuple(names[index] for index in range(len(names)))

    @property
    def fingerprint(self) -> str:
        """64 hex digits of architecture, configuration, weights and settings."""
        if not self._fingerprint:
            model = self._checkpoint()
            config = {key: value for key, value in model.config.to_dict().items() if key not in _INCIDENTAL}
            weights = xxhash.xxh3_128()
            for name, value in sorted(model.state_dict().items()):
                weights.update(name.encode())
                weights.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
            settings = self.fingerprinted_settings()
            facts = json.dumps(
                [ARCHITECTURE, config, weights.hexdigest(), settings], sort_keys=True, default=str
            )
            self._fingerprint = hashlib.sha256(facts.encode()).hexdigest()
        return self._fingerprint

    def _build(self) -> nn.Module:
        self._fingerprint = self.fingerprint  # of the weights as they are stored, before they are rounded
        return _Plain(self._checkpoint())

    def _checkpoint(self) -> Any:
        """The model, read once; ModelError where that cannot be."""
        if self._model is None:
            config, model = (getattr(_transformers(), name) for name in CLASSES[self.settings.name])
            if self.settings.weights == RANDOM:
                with torch.random.fork_rng():
                    torch.manual_seed(SEED)
                    self._model = model(config(num_labels=COCO_CLASSES))
            else:
                self._model = _stored(model, config, self.settings)
        return self._model

    def _choose(self, predictions: Predictions, geometry: FrameGeometry) -> Tensor:
        logits, boxes = predictions
        return best_queries(logits, boxes, self.settings.score_threshold, geometry)


_INCIDENTAL = ("_name_or_path", "transformers_version", "torch_dtype", "dtype", "architectures")


class _Plain(nn.Module):
    """The model without its framework: pictures 0 to 255 -> logits [N, Q, classes], boxes [N, Q, 4]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Predictions:
        """Boxes are centre, width and height, 0 to 1 of the picture."""
        output = self.model(pixel_values=pictures / 255)
        return output.logits, output.pred_boxes


def best_queries(logits: Tensor, boxes: Tensor, score_threshold: float, geometry: FrameGeometry) -> Tensor:
    """The highest-scored pairs of query and class, as many as there are queries; kept above the threshold.

    ``logits`` [N, Q, classes]; ``boxes`` [N, Q, 4]: centre, width and height, 0 to 1. As transformers'
    ``post_process_object_detection`` has it. Rows as ``pack_rows`` says, [N, Q, 7].
    """
    queries, classes = logits.shape[1:]
    scores, pairs = logits.sigmoid().flatten(1).topk(queries, dim=1)
    centres, sizes = boxes[..., :2], boxes[..., 2:]
    corners = torch.cat((centres - sizes / 2, centres + sizes / 2), dim=-1)
    corners = corners.gather(1, (pairs // classes)[..., None].expand(-1, -1, 4))
    # One side after the other: a tensor made of numbers would be copied to a GPU, and waited for.
    corners[..., 0::2] *= geometry.width
    corners[..., 1::2] *= geometry.height
    return pack_rows(corners, scores, pairs % classes, scores > score_threshold)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ModelError(
            f"the model needs the package transformers ({error}): install vbench[models], or use model=shapes"
        ) from error
    return transformers


def _pinned(name: str) -> tuple[str, str | None]:
    """A name on the hub and the revision that it is pinned to: ``owner/model@revision``."""
    where, _, revision = name.partition("@")
    return where, revision or None


def _stored(model: Any, config: Any, settings: ModelSettings) -> Any:
    """A checkpoint in a folder or on the hub, in safetensors alone: such weights cannot run code."""
    folder = Path(settings.weights).expanduser()
    where, revision = (str(folder), None) if folder.is_dir() else _pinned(settings.weights)
    try:
        read = config.from_pretrained(where, revision=revision)
        if read.model_type != config.model_type:
            raise ModelError(
                f"the weights in {where} are of a {read.model_type} model, not of {settings.name} "
                f"({config.model_type})"
            )
        stored, report = model.from_pretrained(
            where,
            revision=revision,
            config=read,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        # These would be drawn at random, and differ from replica to replica.
        absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        if absent:
            raise ModelError(
                f"the weights in {where} are not whole: {len(absent)} are missing or of another shape, the "
                f"first is {absent[0]}; save the checkpoint from {model.__name__}"
            )
        return stored
    except ModelError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"no weights of {settings.name} can be read from {where} ({first_line(error)}): give a folder "
            "with config.json and model.safetensors, a name on the Hugging Face hub where that can be "
            f"reached (NAME@REVISION pins it), or {RANDOM}"
        ) from error
