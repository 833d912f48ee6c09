"""One Ray cluster for all files of this folder, on which services are deployed one after another.

A process talks to one Ray cluster at a time, so nothing else that starts one lies here: what needs its own
comes after the last test of this folder.
"""

from collections.abc import Iterator

import pytest

from tests.pipeline.serving import Cluster, running_cluster


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        yield running
