"""Replicas that no node has room for are refused, with the deployment's and the resource's name."""

import pytest

from vbench.load.app_placement import placement_problems
from vbench.ray_internals.applications import DeploymentNeeds

NODES = [{"CPU": 0, "head": 1}, {"CPU": 4, "infer_only": 1}, {"CPU": 2, "GPU": 1, "accelerator_type:A10": 1}]


def problems(**bundle: float) -> list[str]:
    needs = DeploymentNeeds(name="Model", replicas=2, bundles=(bundle,))
    return list(placement_problems([needs], NODES))


@pytest.mark.parametrize(
    "bundle",
    [{"CPU": 2}, {"CPU": 0, "memory": 1e15}, {"infer_only": 0.5, "CPU": 1}, {"accelerator_type:H100": 0.001}],
)
def test_what_fits_is_not_refused(bundle: dict[str, float]) -> None:
    assert problems(**bundle) == []


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        ({"infer_olny": 0.1}, "a replica of Model needs the resource infer_olny, which no node has: did you"),
        ({"CPU": 5}, "a replica of Model needs 5 CPU, and no node has more than 4: lower num_cpus"),
        ({"CPU": 3, "GPU": 1}, "a replica of Model needs 3 CPU and 1 GPU on one node, and no node has all"),
        ({"CPU": 3.5}, "its replicas (2 x Model) need 7 CPU together, and the cluster has 6: lower num_cpus"),
        ({"infer_only": 0.6}, "its replicas (2 x Model) need 1.2 infer_only together, and the cluster has 1"),
    ],
)
def test_what_has_no_place_is_named(bundle: dict[str, float], said: str) -> None:
    assert said in problems(**bundle)[0]
