"""The detectors and the frame size of each. Imports no torch, since the splitter needs the sizes."""

from vbench.errors import nearest
from vbench.models.protocol import InputSpec, ModelError

_INPUTS: dict[str, InputSpec] = {
    "shapes": InputSpec(width=640, height=360, fit="letterbox"),
    "rtdetr": InputSpec(width=640, height=640, fit="stretch"),
    "dfine": InputSpec(width=640, height=640, fit="stretch"),
}


def names() -> tuple[str, ...]:
    """Names of all detectors."""
    return tuple(_INPUTS)


def input_spec(name: str) -> InputSpec:
    """The frames that detector ``name`` works on, without loading it; ModelError for an unknown name."""
    if name not in _INPUTS:
        # Any suggestion helps more than none, so there is no cutoff.
        raise ModelError(f"there is no model {name!r}: {nearest(name.lower(), _INPUTS, cutoff=0)}")
    return _INPUTS[name]
