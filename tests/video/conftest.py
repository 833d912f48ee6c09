"""Clips, and what is known of them without vbench, made once a session."""

from collections.abc import Callable
from functools import cache

import pytest
from clips import ClipStore
from oracle import Truth, truth


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Gives the path of a clip by its name in ``clips.RECIPES``."""
    return ClipStore(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def truth_of(clip: ClipStore) -> Callable[[str], Truth]:
    """Gives every frame of a clip by the clip's name."""
    return cache(lambda name: truth(clip(name)))
