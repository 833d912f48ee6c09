"""The registry: names, input sizes, and no torch until a detector is made."""

import subprocess
import sys

import pytest

from vbench.models.inputs import input_spec, names
from vbench.models.protocol import InputSpec, ModelError
from vbench.models.registry import create
from vbench.models.settings import ModelSettings


@pytest.mark.parametrize("name", names())
def test_every_model_is_made_and_works_at_its_stated_size(name: str) -> None:
    weights = "bundled" if name == "shapes" else "random"
    assert create(ModelSettings(name=name, weights=weights)).input == input_spec(name)


def test_shapes_works_on_640_by_360() -> None:
    assert input_spec("shapes") == InputSpec(width=640, height=360, fit="letterbox")


@pytest.mark.parametrize("wrong", ["shape", "SHAPES", "", "yolo"])
def test_unknown_model_names_the_nearest(wrong: str) -> None:
    for ask in (input_spec, lambda name: create(ModelSettings(name=name))):
        with pytest.raises(ModelError, match=f"no model '{wrong}': did you mean 'shapes'"):
            ask(wrong)


def test_input_size_is_known_without_torch() -> None:
    code = (
        "import sys; from vbench.models.registry import input_spec; input_spec('shapes'); "
        "heavy = {'torch', 'ray', 'hydra'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
