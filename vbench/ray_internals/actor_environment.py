"""Variables of an actor's process as it sees them itself, whatever its class."""

from collections.abc import Iterable
from typing import Any


def request_variables(actor: Any, names: Iterable[str]) -> Any:
    """Ask an actor for its process id and those of the named variables that it has.

    A reference, for ``ray.get``. ``/proc/PID/environ`` will not do: an actor's title overwrites it.
    """
    asked = tuple(names)

    # Nested, so that it travels by value: the actor may lack this package.
    def variables(_: Any) -> tuple[int, dict[str, str]]:
        import os

        return os.getpid(), {name: os.environ[name] for name in asked if name in os.environ}

    return actor.__ray_call__.remote(variables)
