"""The shapes detector, and frames of a scene for it."""

import numpy as np
import numpy.typing as npt
import pytest

from vbench.models.protocol import Detector
from vbench.models.registry import create
from vbench.models.settings import ModelSettings
from vbench.video.scene import Scene, SceneSettings

Pictures = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    made = create(ModelSettings())
    made.load()
    return made


@pytest.fixture(scope="module")
def frames() -> Pictures:
    scene = Scene(SceneSettings(width=640, height=360, seed=77))
    return np.stack([scene.frame(25 * i) for i in range(11)])
