"""What the service does when a part of it is lost, slow, or cannot start."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ray import serve

from tests.pipeline.serving import Cluster, Service, pipeline_args
from tests.support.waiting import until
from vbench.pipeline import build

pytestmark = pytest.mark.slow

REQUEST_TIMEOUT_S = 4

A_LITTLE = {"fps": "1/2", "chunk_s": 12}
"""6 frames in one chunk. A busy machine may never process 24 in 6 chunks in time, with all replicas there."""


@pytest.fixture(scope="module")
def service(cluster: Cluster) -> Iterator[Service]:
    with cluster.deployed(request_timeout_s=REQUEST_TIMEOUT_S) as running:
        yield running


def works(service: Service, clip: Path) -> bool:
    return service.post({"video": str(clip), **A_LITTLE}).status_code == 200


def test_a_request_that_takes_too_long_is_504_and_ends(
    cluster: Cluster, service: Service, clip: Path
) -> None:
    with ThreadPoolExecutor(4) as clients:
        # 4 x 120 decodes are more than 4 s of work.
        asked = [
            clients.submit(service.refusal, video=str(clip), fps=10, chunk_s=0.1, mode="combined")
            for _ in range(4)
        ]
        refusals = {future.result() for future in asked}

    remedy = "request fewer frames/s, or raise request_timeout_s of the service"
    assert refusals == {(504, f"{clip} was not processed within 4 s: {remedy}")}
    # What was given up has ended, so the next request finds the pipeline free; a slow machine may try twice.
    until(lambda: works(service, clip), "a video is worked on", 20)


def test_a_lost_replica_fails_its_requests_with_500_and_comes_back(
    cluster: Cluster, service: Service, clip: Path
) -> None:
    (decoder,) = cluster.replica_processes("VideoDecoder")
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(service.refusal, video=str(clip), fps=10, chunk_s=0.1)
        until(decoder.children, "FFmpeg runs", 5)

        decoder.kill()

        status, sentence = asked.result()
    assert status == 500
    assert sentence.startswith("A replica or node was lost while it worked on this request: ")
    until(lambda: works(service, clip), "the replica is back")


def test_a_model_that_cannot_load_says_so_in_serves_status(cluster: Cluster, tmp_path: Path) -> None:
    args = pipeline_args(model={"weights": str(tmp_path / "none.safetensors")})
    serve.run_many(
        [serve.RunTarget(build(args), name="broken", route_prefix="/broken")],
        wait_for_applications_running=False,
    )

    def sentence() -> str:
        deployments = serve.status().applications["broken"].deployments
        return deployments["ModelInference"].message if "ModelInference" in deployments else ""

    try:
        until(lambda: "none.safetensors" in sentence(), "Serve says that weights are missing")
        assert "no model weights at" in sentence()
    finally:
        serve.delete("broken")
