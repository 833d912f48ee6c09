"""Which replicas a warm-up has left cold."""

from dataclasses import replace

from tests.support import records
from vbench.load.video_load import cold
from vbench.record.requests import SpanLine

REPLICAS = {
    "VideoProcessingAPI": {"head": 1},
    "VideoProcessingService": {"chunk1": 1, "chunk2": 1},
    "VideoDecoder": {"decode": 2},
    "ModelInference": {"gpu": 1},
}


def spans(**replicas: list[str]) -> list[SpanLine]:
    """A span of its work for each replica of a stage."""
    return [
        replace(records.span(stage, "compute", 1.0), replica=replica)
        for stage, names in replicas.items()
        for replica in names
    ]


def test_all_replicas_that_worked_are_warm() -> None:
    assert cold(REPLICAS, spans(chunk=["s1", "s2"], decode=["d1", "d2", "d1"], infer=["m1"])) == []


def test_a_replica_that_did_nothing_is_cold_with_its_deployment() -> None:
    assert cold(REPLICAS, spans(chunk=["s1", "s1"], decode=["d1", "d2"], infer=["m1"])) == [
        "VideoProcessingService"
    ]
    assert cold(REPLICAS, []) == ["VideoProcessingService", "VideoDecoder", "ModelInference"]


def test_a_queue_is_no_work() -> None:
    waited = [replace(span, kind="queue") for span in spans(infer=["m1"])]
    found = cold(REPLICAS, [*spans(chunk=["s1", "s2"], decode=["d1", "d2"]), *waited])
    assert found == ["ModelInference"]
