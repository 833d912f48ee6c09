"""Makes a detector by its settings."""

from vbench.models.inputs import input_spec
from vbench.models.protocol import Detector
from vbench.models.settings import ModelSettings


def create(settings: ModelSettings, *, threads: int = 1) -> Detector:
    """The detector that ``settings`` describe, not yet loaded; ModelError for an unknown name or value.

    ``threads``: of the forward pass on a CPU; with a GPU, of the copy of frames to page-locked memory.
    """
    input_spec(settings.name)
    if settings.name == "shapes":
        from vbench.models.shapes import ShapesDetector

        return ShapesDetector(settings, threads)
    from vbench.models.detr import DetrDetector

    return DetrDetector(settings, threads)
