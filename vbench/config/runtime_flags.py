"""The Ray runtime flags: from a number of connections to the environment of every raylet, validated.

Ray does not refuse bad values (0 kills the raylet at the first transfer, a misspelt name is silently
ignored), so nothing reaches it unchecked. The flags are read once, by each raylet, from its environment.
"""

from collections.abc import Mapping

from vbench.ray_internals.object_manager import COUNT_VARIABLE, DEFAULT_CONNECTIONS, ENABLE_VARIABLE

FLAGS = (ENABLE_VARIABLE, COUNT_VARIABLE)

MOST_CONNECTIONS = 64
"""Far above what helps; a typing error such as 1500 is found."""


class RuntimeFlagError(ValueError):
    """A flag's value that must not reach Ray."""


def flag_variables(connections: int | None) -> dict[str, str]:
    """The variables that make a raylet open ``connections`` to each peer; none for None.

    One connection turns the feature off; more turn it on with that number.
    """
    if connections is None:
        return {}
    if not 1 <= connections <= MOST_CONNECTIONS:
        raise RuntimeFlagError(
            f"runtime.connections={connections} must lie between 1 and {MOST_CONNECTIONS}, or be null for"
            f" what Ray does by itself."
        )
    if connections == 1:
        return {ENABLE_VARIABLE: "0"}
    return {ENABLE_VARIABLE: "1", COUNT_VARIABLE: str(connections)}


def apply(base: Mapping[str, str], connections: int | None) -> dict[str, str]:
    """``base`` with exactly the asked flags: those the user's own shell may have set are taken out."""
    kept = {name: value for name, value in base.items() if name not in FLAGS}
    return kept | flag_variables(connections)


def found_flags(environ: Mapping[str, str]) -> dict[str, str]:
    """The flags in a process's environment."""
    return {name: environ[name] for name in FLAGS if name in environ}


def flags_text(flags: Mapping[str, str]) -> str:
    """Flags for a message."""
    return ", ".join(f"{name}={value}" for name, value in flags.items()) or "no flag set"


def expected(connections: int | None) -> int:
    """Connections to each peer that ``runtime.connections`` asks for."""
    return DEFAULT_CONNECTIONS if connections is None else connections
