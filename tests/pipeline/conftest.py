"""One clip a session, and a small Ray cluster for the files of each folder that use one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.serving import Cluster, running_cluster
from vbench.video.scene import SceneSettings, ensure_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of 480 x 360 at 10 frames/s, keyframes every 2 s; letterboxed, not being of the model's shape."""
    settings = SceneSettings(width=480, height=360, fps="10", length_s=12, unique_s=4, gop_s=2, objects=5)
    return ensure_clip(settings, tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running
