"""What an actor's process says of itself: its variables, and the signs of settings in a replica."""

from collections.abc import Iterable
from typing import Any

from vbench.ray_internals.setting_signs import OF_REPLICAS


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


def request_replica_signs(replica: Any) -> Any:
    """Ask a replica what ``setting_signs`` looks at in its process: sign -> value, of those that it can tell.

    A reference, for ``ray.get``.
    """
    names = [str(sign) for sign in OF_REPLICAS]

    # Nested, so that it travels by value: the actor may lack this package.
    def signs(actor: Any) -> dict[str, float]:
        import gc
        import sys
        from pathlib import Path

        established = "01"

        def connections(port: int) -> int:
            lines = []
            for family in ("tcp", "tcp6"):
                table = Path(f"/proc/self/net/{family}").read_text()
                lines += [line.split() for line in table.splitlines()[1:]]
            return sum(int(one[1].rpartition(":")[2], 16) == port and one[3] == established for one in lines)

        implementation = getattr(actor, "_replica_impl", None)
        user = getattr(implementation, "_user_callable_wrapper", None)
        router = getattr(sys.modules.get("ray.serve._private.router"), "SingletonThreadRouter", None)
        grpc_port = getattr(implementation, "_internal_grpc_port", None)
        loops = (getattr(implementation, "_event_loop", None), getattr(user, "_user_code_event_loop", None))
        values = (
            connections(grpc_port) if grpc_port else None,
            getattr(implementation, "_http_port", None) or 0,
            None if None in loops else float(loops[0] is not loops[1]),
            None if router is None else float(getattr(router, "_asyncio_loop", None) is not None),
            gc.get_freeze_count(),
        )
        return {name: float(value) for name, value in zip(names, values, strict=True) if value is not None}

    return replica.__ray_call__.remote(signs)
