"""A pass takes the memory that the one before it freed: the kernel has no new pages to zero."""

import platform
import resource

import numpy as np
import pytest

from vbench.models.registry import create
from vbench.models.settings import ModelSettings

PASSES = 5


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no mallopt")
def test_a_pass_needs_no_new_pages() -> None:
    detector = create(ModelSettings(name="shapes", batch_size=8))
    detector.load()
    size = detector.input
    frames = np.zeros((8, size.height, size.width, 3), np.uint8)
    for _ in range(3):
        detector.detect(frames)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(PASSES):
        detector.detect(frames)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert taken < 500 * PASSES, "pages; a pass that takes its blocks anew needs some 7000"
