"""How the stages' liveness is asked for: rarely, and with an end."""

import asyncio
from collections.abc import Generator
from typing import Any

from vbench.pipeline.health import Health


class Response:
    """As a DeploymentResponse: awaitable, and cancelled if nobody waits any more."""

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, object]:
        if self._outcome == "hangs":
            yield from asyncio.Event().wait().__await__()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def cancel(self) -> None:
        self.cancelled = True


class Stage:
    """Its replicas answer one call each, in turn."""

    def __init__(self, *outcomes: object) -> None:
        self.replicas = len(outcomes)
        self._outcomes = outcomes
        self.responses: list[Response] = []

    def __call__(self) -> Response:
        self.responses.append(Response(self._outcomes[len(self.responses) % self.replicas]))
        return self.responses[-1]


def silent(**stages: Stage) -> list[str]:
    async def ask() -> list[str]:
        checked = {name: (stage, stage.replicas) for name, stage in stages.items()}
        return await Health(checked, timeout_s=0.1).silent()

    return asyncio.run(ask())


def test_stages_that_answer_are_not_silent_whatever_they_answer() -> None:
    assert silent(a=Stage(None), b=Stage([])) == []


def test_a_stage_whose_replicas_hang_or_fail_is_silent_and_its_calls_are_cancelled() -> None:
    hanging = Stage("hangs")

    assert silent(a=Stage(None), b=hanging, c=Stage(RuntimeError("died"))) == ["b", "c"]
    assert all(response.cancelled for response in hanging.responses)


def test_one_replica_that_answers_is_enough() -> None:
    assert silent(a=Stage("hangs", RuntimeError("died"), None)) == []


def test_a_stage_that_cannot_be_called_is_silent() -> None:
    def gone() -> Any:
        raise RuntimeError("the deployment was deleted")

    async def ask() -> list[str]:
        return await Health({"a": (gone, 1)}, timeout_s=0.1).silent()

    assert asyncio.run(ask()) == ["a"]


def test_callers_share_one_check_and_its_result_is_kept() -> None:
    stage = Stage(None)

    async def ask() -> None:
        checks = Health({"a": (stage, 1)}, timeout_s=1)
        await asyncio.gather(*(checks.silent() for _ in range(50)))
        await checks.silent()
        assert len(stage.responses) == 1
        checks = Health({"a": (stage, 1)}, timeout_s=1, keep_s=0)
        await checks.silent()
        await checks.silent()
        assert len(stage.responses) == 3

    asyncio.run(ask())
