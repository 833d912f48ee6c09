"""Which detector runs, and how: the section ``model`` of a configuration, and of the service's arguments."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from vbench.models.field_checks import Checked, OneOf

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
"""``tf32``: stored as fp32, multiplied with 10 bits of mantissa by GPUs that can; as fp32 by CPUs."""

_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


def _check_device(name: object) -> None:
    if isinstance(name, str) and not _DEVICE.fullmatch(name):
        raise ValueError("there is no such device: use cpu, cuda or cuda:N")


@dataclass(kw_only=True)
class ModelSettings:
    """Which detector, and how it runs."""

    name: str = "shapes"
    """The detector: shapes, rtdetr or dfine."""
    weights: str = "bundled"
    """bundled (in the package) or a safetensors file; else a folder, owner/model@revision, or random."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Frames in one forward pass, from one call or several."""
    batch_wait_ms: Annotated[float, Ge(0), Le(60_000)] = 0.0
    """Longest time that a frame waits for others to fill its batch; 0: no waiting."""
    precision: Annotated[str, OneOf(get_args(Precision))] = "fp32"
    """fp32, tf32 (on a GPU; the same as fp32 on a CPU), bf16 or fp16."""
    compile: bool = False
    """Whether the forward pass is compiled with torch.compile, for full batches only."""
    channels_last: bool = True
    """Whether the channels of a pixel are adjacent in memory."""
    cuda_graph: bool = True
    """Whether a GPU replays each forward pass as a CUDA graph."""
    device: Annotated[str, Checked(_check_device)] = "cpu"
    """cpu, cuda or cuda:N."""
    score_threshold: Annotated[float, Gt(0), Lt(1)] = 0.3
    """Lowest score of a detection that is reported."""
