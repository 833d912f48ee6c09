"""The environment variables of a runtime: what every Ray process of an arm has, and what they ask for.

Ray reads its settings once, as each process starts, and ignores or misreads bad ones in silence: nothing
reaches it that ``vbench.config.runtime_checks`` has not checked.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from vbench.config.schema import RuntimeConfig
from vbench.ray_internals.object_manager import COUNT_VARIABLE, DEFAULT_CONNECTIONS, ENABLE_VARIABLE

FLAGS = (ENABLE_VARIABLE, COUNT_VARIABLE)
"""What ``runtime.connections`` sets."""

MOST_CONNECTIONS = 64
"""Far above what helps; a typing error such as 1500 is found."""


class RuntimeFlagError(ValueError):
    """A number of connections that must not reach Ray."""


def flag_variables(connections: int | None) -> dict[str, str]:
    """The variables that make a raylet open ``connections`` to each peer; none for None.

    One connection turns the feature off; more turn it on with that number.
    """
    if connections is None:
        return {}
    if not 1 <= connections <= MOST_CONNECTIONS:
        raise RuntimeFlagError(
            f"runtime.connections={connections} must be between 1 and {MOST_CONNECTIONS}, or null for"
            f" what Ray does by itself."
        )
    if connections == 1:
        return {ENABLE_VARIABLE: "0"}
    return {ENABLE_VARIABLE: "1", COUNT_VARIABLE: str(connections)}


def variables(connections: int | None, env: Mapping[str, str]) -> dict[str, str]:
    """All variables of a runtime: those of ``runtime.connections``, and ``runtime.env``."""
    return flag_variables(connections) | dict(env)


def variables_of(runtime: RuntimeConfig) -> dict[str, str]:
    """All variables of a configured runtime."""
    return variables(runtime.connections, runtime.env)


def recorded_connections(runtime: Mapping[str, Any]) -> int:
    """Connections to each peer of a runtime as a record has it; older ones have no ``env``."""
    return expected_connections(variables(runtime.get("connections"), runtime.get("env", {})))


def apply(base: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """``base`` with exactly the asked variables: flags that the user's own shell may have set are taken
    out."""
    return {name: value for name, value in base.items() if name not in FLAGS} | dict(asked)


def found_variables(environ: Mapping[str, str], asked: Iterable[str]) -> dict[str, str]:
    """The flags, and variables of the asked names, in a process's environment."""
    return {name: environ[name] for name in dict.fromkeys((*FLAGS, *asked)) if name in environ}


def variables_text(given: Mapping[str, str]) -> str:
    """Variables for a message."""
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "no variable set"


def is_true(value: str) -> bool:
    """Whether Ray's C++ reads this as true."""
    return value.lower() in ("1", "true")


def expected_connections(asked: Mapping[str, str]) -> int:
    """Connections to each peer that a runtime's variables ask for."""
    if not is_true(asked.get(ENABLE_VARIABLE, "1")):
        return 1
    return int(asked.get(COUNT_VARIABLE, DEFAULT_CONNECTIONS))
