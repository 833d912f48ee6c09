"""One clip a session, and one small Ray cluster a file, on which services are deployed one after another.

A process talks to one Ray cluster at a time, and a worker of pytest-xdist runs files of other folders in
between that start their own.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.serving import Cluster
from vbench.linux.ports import free_ports
from vbench.video.scene import SceneSettings, ensure_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of 480 x 360 at 10 frames/s, keyframes every 2 s; letterboxed, not being of the model's shape."""
    settings = SceneSettings(width=480, height=360, fps="10", length_s=12, unique_s=4, gop_s=2, objects=5)
    return ensure_clip(settings, tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes of 2 CPUs and 200 MB of object store each, and Serve's proxy on a free port."""
    # Ray's sockets lie in its temp dir, and a socket's path has room for 107 bytes.
    temp_dir = Path(tempfile.mkdtemp(prefix="vp", dir="/tmp"))
    # Where Ray notes the address of a cluster that it started in-process; it does not make this folder.
    (temp_dir / "ray").mkdir()
    environment = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_TMPDIR": str(temp_dir),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        (port,) = free_ports("127.0.0.1", 1)
        with Cluster.start(temp_dir, port) as running:
            yield running
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        shutil.rmtree(temp_dir, ignore_errors=True)
