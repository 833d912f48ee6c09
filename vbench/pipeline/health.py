"""Liveness of the stages: which of them have no replica that answers, checked every few seconds at most."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

KEEP_S = 2.0
"""How long a result is kept: replicas are not called more often than this."""

CALLS_PER_CHECK = 4
"""Calls per stage and check. Serve spreads them over the replicas, so one that hangs is not enough."""

Call = Callable[[], Any]
"""Calls a replica: a DeploymentResponse, which is awaitable and can be cancelled. Ray is untyped here."""


class Health:
    """Calls a replica of each stage; a stage is silent if none of its calls returns within ``timeout_s``."""

    def __init__(
        self, stages: Mapping[str, tuple[Call, int]], *, timeout_s: float, keep_s: float = KEEP_S
    ) -> None:
        """``stages``: by name, a call that returns at once if a replica works, and its replicas."""
        self._stages = dict(stages)
        self._timeout_s = timeout_s
        self._keep_s = keep_s
        self._checking: asyncio.Task[dict[str, Any]] | None = None
        self._checked_s = 0.0

    async def answers(self) -> dict[str, Any]:
        """The answer of a replica of each stage, by the stage's name; silent stages are left out.

        The latest result, if it is fresh enough; concurrent callers share one check.
        """
        stale = time.monotonic() - self._checked_s > self._keep_s
        if self._checking is None or (self._checking.done() and stale):
            self._checking = asyncio.get_running_loop().create_task(self._check())
        return await asyncio.shield(self._checking)

    async def silent(self) -> list[str]:
        """Names of the stages without a replica that answers."""
        answers = await self.answers()
        return [name for name in self._stages if name not in answers]

    async def _check(self) -> dict[str, Any]:
        names = list(self._stages)
        answered = await asyncio.gather(*(self._first_answer(*self._stages[name]) for name in names))
        self._checked_s = time.monotonic()
        return {name: answers[0] for name, answers in zip(names, answered, strict=True) if answers}

    async def _first_answer(self, call: Call, replicas: int) -> list[Any]:
        """The first answer, in a list; an empty one if there is none in time."""
        tasks = [asyncio.ensure_future(_answer(call)) for _ in range(min(replicas, CALLS_PER_CHECK))]
        try:
            async with asyncio.timeout(self._timeout_s):
                for answer in asyncio.as_completed(tasks):
                    try:
                        return [await answer]
                    except Exception:  # noqa: BLE001 - a call that fails is no answer
                        continue
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
        return []


async def _answer(call: Call) -> Any:
    response = call()
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
