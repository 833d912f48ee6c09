"""Small records of a trial whose watchers all saw what they should; each test changes one thing."""

from dataclasses import replace
from typing import Any

from tests.support import records
from vbench.config.schema import ClusterConfig, Config, LoadConfig, NodeConfig
from vbench.record.harness import Harness, Speed, Stall
from vbench.record.load_report import LoadReport


def config(cluster: str = "local", cpus: int | None = None, gpus: int = 0, **load: Any) -> Config:
    """Without Hydra, which takes a second."""
    nodes = {"head": NodeConfig(cpus=cpus, gpus=gpus)}
    return Config(
        cluster=ClusterConfig(name=cluster, nodes=nodes),
        load=LoadConfig(name="closed", **load),
        mode="chunked",
    )


def process(**changes: Any) -> dict[str, Any]:
    return {
        "cpus": [0, 1],
        "quota_cpus": None,
        "usable_cpus": 2,
        "nice": 0,
        "policy": "other",
        "memory_limit_mb": None,
        "environment": {},
        **changes,
    }


def machine(**changes: Any) -> dict[str, Any]:
    return {"cpu": "a CPU", "online_cpus": 2, "boot_id": "b1", "kernel": "6.1", **changes}


def harness(**changes: Any) -> Harness:
    return replace(
        Harness(
            stalls=(Stall(where="harness", worst_ms=60, wakes=100),),
            conditions={"harness": process(), "harness's machine": machine()},
            speed_before=Speed(single_per_s=700, all_per_s=1400, processes=2),
            speed_after=Speed(single_per_s=690, all_per_s=1300, processes=2),
        ),
        **changes,
    )


def load_report(**changes: Any) -> LoadReport:
    seen = {
        "stalls": (Stall(where="client", worst_ms=55, wakes=100),),
        "conditions": {
            "load process": process(),
            "raylet of head": process(),
            "workers of head": process(nice=15),
        },
    }
    return records.load_report(**(seen | changes))
