"""Clips, and what is known of them without vbench, made once a session."""

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.video.support.as_ffmpeg import Make
from tests.video.support.clips import ClipStore, run_ffmpeg
from tests.video.support.oracle import Truth, truth


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Gives the path of a clip by its name in ``clips.RECIPES``."""
    return ClipStore(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def truth_of(clip: ClipStore) -> Callable[[str], Truth]:
    """Gives every frame of a clip by the clip's name."""
    return cache(lambda name: truth(clip(name)))


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a clip of a name by FFmpeg's arguments, once."""
    folder = tmp_path_factory.mktemp("containers")

    def made(name: str, arguments: str) -> Path:
        path = folder / name
        if not path.exists():
            run_ffmpeg(*arguments.split(), str(path))
        return path

    return made


@pytest.fixture(scope="session")
def tls_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of localhost in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path
