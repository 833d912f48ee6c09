"""Three deployments that pass a large array to each other: one makes it, one changes it, one sums it up."""

import numpy as np
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle


class Settings(BaseModel, extra="forbid"):
    """What ``app.args`` may set."""

    array_mb: float = 8
    """Size of the array that a request passes on, in MB."""
    producer_resource: str | None = None
    """Custom resource of the node that makes arrays, e.g. decode_only; None: any node."""
    consumer_resource: str | None = None
    """Custom resource of the node that sums them up, e.g. infer_only; None: any node."""


@serve.deployment
class Producer:
    """Makes an array."""

    def __init__(self, array_mb: float) -> None:
        self._values = round(array_mb * 1e6 / 8)

    def __call__(self, seed: int) -> np.ndarray:
        """Numbers that depend on the seed."""
        return np.arange(seed, seed + self._values, dtype=np.int64)


@serve.deployment
class Consumer:
    """Sums an array up."""

    def __call__(self, array: np.ndarray) -> dict[str, int]:
        """The sum and the number of bytes."""
        return {"sum": int(array.sum()), "bytes": array.nbytes}


@serve.deployment
class Front:
    """Passes the array of a request from the producer to the consumer without seeing it."""

    def __init__(self, producer: DeploymentHandle, consumer: DeploymentHandle) -> None:
        self._producer, self._consumer = producer, consumer

    async def __call__(self, request) -> dict[str, int]:
        """The answer to ``GET /?seed=N``."""
        seed = int(request.query_params.get("seed", 0))
        return await self._consumer.remote(self._producer.remote(seed))


def build(settings: Settings) -> serve.Application:
    """The application, as ``serve run graph:build array_mb=8`` would deploy it."""
    producer = Producer.options(ray_actor_options=_on(settings.producer_resource))
    consumer = Consumer.options(ray_actor_options=_on(settings.consumer_resource))
    return Front.bind(producer.bind(settings.array_mb), consumer.bind())


def _on(resource: str | None) -> dict[str, object]:
    """Options that place a replica on a node with this resource."""
    return {"num_cpus": 0.1, "resources": {resource: 0.001} if resource else {}}
