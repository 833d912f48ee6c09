"""Checks ``runtime.env`` against the installed Ray: known names, and values of the right type."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vbench.config.interpreter import other_interpreter
from vbench.config.quoting import shell_quoted
from vbench.config.runtime_env import FLAGS, MOST_CONNECTIONS, RuntimeFlagError, flag_variables
from vbench.config.schema import RuntimeConfig
from vbench.errors import InputError
from vbench.pipeline import request_count
from vbench.ray_internals.haproxy import FILE_VARIABLES
from vbench.ray_internals.node import ADDRESS_VARIABLES, AUTHENTICATION, NODE_VARIABLES
from vbench.ray_internals.object_manager import COUNT_VARIABLE
from vbench.ray_internals.settings import (
    PREFIX,
    Kind,
    SettingsError,
    installed_folder,
    known_names,
    native_setting,
    python_kind,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OWN = frozenset(
    {
        *NODE_VARIABLES,
        *request_count.environment(),
        *AUTHENTICATION,
        *ADDRESS_VARIABLES,
        *FILE_VARIABLES,
    }
)
"""Variables that vbench sets for each cluster itself."""

REFUSED = {
    **dict.fromkeys(OWN, "vbench sets this variable for each cluster itself; leave it out"),
    "PYTHONOPTIMIZE": "Ray does not run with this variable; leave it out",
}
"""Name -> why no runtime can set it."""

ALIKE = 0.85
"""How similar to one of Ray's names, from 0 to 1, another is taken for that name with a typing error."""

KINDS: Mapping[Kind, tuple[str, str]] = {
    Kind.NUMBER: ("a number", "a number without a unit"),
    Kind.INTEGER: ("a whole number", "a whole number without a unit"),
    Kind.POSITIVE_INTEGER: ("a whole number above 0", "1 or more"),
    Kind.NON_NEGATIVE_INTEGER: ("a whole number", "0 or more"),
    Kind.POSITIVE_NUMBER: ("a number above 0", "a number above 0"),
    Kind.NON_NEGATIVE_NUMBER: ("a number", "0 or more"),
    Kind.BOOLEAN: ("true or false", "1 or 0"),
    Kind.FLAG: ("1 or 0", "1 or 0"),
}
"""What a value must be, and what to give."""

WHOLE = (Kind.INTEGER, Kind.POSITIVE_INTEGER, Kind.NON_NEGATIVE_INTEGER)
ABOVE_0 = (Kind.POSITIVE_INTEGER, Kind.POSITIVE_NUMBER)
NOT_BELOW_0 = (Kind.NON_NEGATIVE_INTEGER, Kind.NON_NEGATIVE_NUMBER)

MOST = 2**63 - 1
"""The largest number that any setting of Ray holds."""


def runtime_problems(runtime: RuntimeConfig) -> Iterator[str]:
    """One sentence for each thing that is wrong, with key, value and remedy; reads Ray's files if there is
    anything to check."""
    try:
        of_connections = flag_variables(runtime.connections)
    except RuntimeFlagError as error:
        yield str(error)
        return
    try:
        other = other_interpreter(runtime)
    except InputError as error:
        yield str(error)
        return
    if not runtime.env:
        return
    try:
        folder = other.ray_folder if other else installed_folder()
        names = known_names(folder)
    except SettingsError as error:
        yield f"runtime.env cannot be checked: {error}; install the Ray that vbench is pinned to."
        return
    for name, value in runtime.env.items():
        given = shell_quoted(f"runtime.env.{name}={value}")
        if name in FLAGS and of_connections:
            yield (
                f"{given} and runtime.connections={runtime.connections} both set the connections between"
                f" nodes: leave one out, or set runtime.connections=null."
            )
        elif (
            problem := _name_problem(name, value, names) or _value_problem(name, value, folder)
        ) is not None:
            yield f"{given}: {problem}."


def _name_problem(name: str, value: str, known: frozenset[str]) -> str | None:
    if not NAME.fullmatch(name):
        return "the name of a variable has only letters, digits and _"
    if name in REFUSED:
        return REFUSED[name]
    return None if name in known else _unknown(name, value, known)


def _unknown(name: str, value: str, known: frozenset[str]) -> str | None:
    """What is wrong with a name that Ray does not know; None if it is one of another program."""
    close = difflib.get_close_matches(name.upper(), [one.upper() for one in known], n=1, cutoff=ALIKE)
    right = next((one for one in sorted(known) if close and one.upper() == close[0]), None)
    if right is not None:
        return f"this Ray has no such setting; did you mean {shell_quoted(f'runtime.env.{right}={value}')}"
    if not name.startswith(PREFIX):
        return None
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
    return f"this Ray has no such setting; the nearest are {', '.join(sorted(near))}"


def _value_problem(name: str, value: str, folder: Path) -> str | None:
    if not name.startswith(PREFIX):
        return None
    try:
        native = native_setting(folder, name, value)
    except SettingsError as error:
        return f"it cannot be checked: {error}"
    kind = native.kind if native is not None else python_kind(folder, name)
    if kind is None or kind == Kind.TEXT:
        return None
    is_read = native is None or native.is_read
    if not is_read and kind == Kind.NUMBER and _number(value) is not None:
        kind = Kind.INTEGER  # C++ has a type of its own for them, and stops at the point
    if not is_read or not _fits(value, kind):
        wanted, remedy = KINDS[kind]
        return f"Ray takes {wanted} here: give {remedy}"
    if name == COUNT_VARIABLE and not 1 <= int(value) <= MOST_CONNECTIONS:
        return f"the number of connections must be between 1 and {MOST_CONNECTIONS}"
    return None


def _fits(value: str, kind: Kind) -> bool:
    if kind == Kind.BOOLEAN:
        return value.lower() in ("0", "1", "false", "true")
    if kind == Kind.FLAG:
        return value in ("0", "1")
    number = _number(value)
    if number is None or (kind in WHOLE and not number.is_integer()):
        return False
    return number > 0 if kind in ABOVE_0 else number >= 0 if kind in NOT_BELOW_0 else True


def _number(value: str) -> float | None:
    """A finite number that fits into 64 bits; None for other text."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= MOST and value == value.strip() else None
