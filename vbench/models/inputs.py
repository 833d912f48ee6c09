"""The detectors there are, and the frames that each works on. Imports no torch: a splitter asks for them."""

import difflib

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
        # Case-blind, and with a low bar: a wrong guess costs a reader less than none.
        nearest = difflib.get_close_matches(name.lower(), _INPUTS, n=1, cutoff=0.0)[0]
        raise ModelError(
            f"there is no model {name!r}: did you mean {nearest!r}? (there are: {', '.join(_INPUTS)})"
        )
    return _INPUTS[name]
