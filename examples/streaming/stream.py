"""One deployment whose response is a stream of numbers, a line at a time, as a language model's would be."""

import asyncio
from collections.abc import AsyncIterator

from ray import serve
from starlette.requests import Request
from starlette.responses import StreamingResponse


@serve.deployment(ray_actor_options={"num_cpus": 0.5})
class Counter:
    """Counts to N."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    async def __call__(self, request: Request) -> StreamingResponse:
        """The response to ``GET /?n=N``."""
        count = int(request.query_params.get("n", 10))
        return StreamingResponse(self._lines(count), media_type="text/plain")

    async def _lines(self, count: int) -> AsyncIterator[str]:
        for number in range(count):
            await asyncio.sleep(self._pause_s)
            yield f"{number}\n"


def build(args: dict[str, str]) -> serve.Application:
    """The application, as ``serve run stream:build pause_s=0.02`` would deploy it."""
    return Counter.bind(float(args.get("pause_s", 0.02)))


def is_complete(request: dict, response: dict) -> bool | str:
    """Whether a response has all the numbers: what vbench calls with ``app.check=stream:is_complete``."""
    count = int(request["path"].partition("n=")[2])
    lines = response["body"].decode().splitlines()
    return lines == [str(number) for number in range(count)] or f"{len(lines)} lines instead of {count}"
