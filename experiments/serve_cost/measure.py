"""Measures Ray Serve's own latency per request: ``python experiments/serve_cost/measure.py`` (1 min).

Deploys an empty graph of the same four deployments with the same options on a separate Ray cluster; each only
forwards its input, the last hop by reference as in the direct hand-off. Sends one request at a time. Nothing
else may run meanwhile. Writes raw values to ``result.json`` next to this file, which README.md quotes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import ray
import requests
from fastapi import FastAPI
from ray import serve
from ray.serve.config import HTTPOptions

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from vbench.linux.ports import free_ports
from vbench.pipeline.application import deployment_options
from vbench.pipeline.config import DeploymentName, PipelineArgs
from vbench.ray_internals.objects import response_reference
from vbench.record.quantiles import percentile

HERE = Path(__file__).resolve().parent
http = FastAPI()


class Model:
    async def infer(self, frames: bytes) -> int:
        return len(frames)


class Decoder:
    async def decode(self, chunk: bytes) -> bytes:
        return chunk


class Service:
    def __init__(self, decoder: Any, model: Any) -> None:
        self._decoder, self._model = decoder, model

    async def process(self, chunk: bytes) -> int:
        reference = await response_reference(self._decoder.decode.remote(chunk))
        length: int = await self._model.infer.remote(reference)
        return length


@serve.ingress(http)
class API:
    def __init__(self, service: Any) -> None:
        self._service = service

    @http.post("/")
    async def process(self) -> int:
        length: int = await self._service.process.remote(b"chunk")
        return length


def app() -> serve.Application:
    """The four empty deployments, with the options of the real ones on one machine."""
    options = deployment_options(PipelineArgs())
    classes: dict[DeploymentName, Any] = {
        "VideoProcessingAPI": API,
        "VideoProcessingService": Service,
        "VideoDecoder": Decoder,
        "ModelInference": Model,
    }
    deployments = {name: serve.deployment(cls, **options[name]) for name, cls in classes.items()}
    decoder, model = deployments["VideoDecoder"].bind(), deployments["ModelInference"].bind()
    return deployments["VideoProcessingAPI"].bind(deployments["VideoProcessingService"].bind(decoder, model))


def measure(url: str, warm_up: int, count: int) -> list[float]:
    """Latency of each request in milliseconds; one at a time, over one connection."""
    times = []
    with requests.Session() as session:
        session.trust_env = False
        for number in range(warm_up + count):
            start_s = time.monotonic()
            response = session.post(url, timeout=60)
            if number >= warm_up:
                times.append(1000 * (time.monotonic() - start_s))
            response.raise_for_status()
            assert response.json() == len(b"chunk")
    return times


def main() -> None:
    """Start the cluster, measure, stop it, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "disabled"
    (port,) = free_ports("127.0.0.1", 1)
    with tempfile.TemporaryDirectory(prefix="vs", dir="/tmp") as temp:
        ray.init(
            include_dashboard=False, log_to_driver=False, _temp_dir=temp, object_store_memory=200 * 10**6
        )
        try:
            serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host="127.0.0.1", port=port))
            serve.run(app(), name="empty", route_prefix="/")
            times = measure(f"http://127.0.0.1:{port}/", 100, options.requests)
        finally:
            serve.shutdown()
            ray.shutdown()
    result = {
        **conditions(),
        "requests": len(times),
        "latency_ms": {
            "median": statistics.median(times),
            "mean": statistics.fmean(times),
            "p90": percentile(times, 90),
            "p99": percentile(times, 99),
            "min": min(times),
            "max": max(times),
        },
        "each_ms": [round(time_ms, 3) for time_ms in times],
    }
    write_result(HERE / "result.json", result)
    print(json.dumps(result["latency_ms"], indent=1))


if __name__ == "__main__":
    main()
