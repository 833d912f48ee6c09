"""Makes a detector by its name."""

from vbench.models.inputs import input_spec
from vbench.models.protocol import Detector, ModelSettings


def create(settings: ModelSettings) -> Detector:
    """Make the detector that ``settings`` ask for, not yet loaded; ModelError for a name or value unknown."""
    input_spec(settings.name)
    if settings.name == "shapes":
        from vbench.models.shapes import ShapesDetector

        return ShapesDetector(settings)
    from vbench.models.detr import DetrDetector

    return DetrDetector(settings)
