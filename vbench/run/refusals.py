"""Turns the errors of Hydra and OmegaConf into one sentence with a remedy."""

import re
from collections.abc import Callable, Sequence

from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from vbench.config.quoting import shell_quoted, unquoted
from vbench.errors import first_line

KINDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}

WITH_UNIT = re.compile(r"([-+]?\d+(?:\.\d+)?)\s*[A-Za-z%]+")
"""A number and a unit, which the key's own name has already."""

IN_FILE = re.compile(r"In '(.+)': \w+ raised while composing config:\n(.+)")
"""How Hydra says what is wrong in an option file."""


NAMELESS = "the option file of the cluster names no kind: write 'name: emulated' into it."


def sentence(error: Exception, line: Sequence[str], composes: Callable[[list[str]], bool]) -> str:
    """What is wrong with which override of ``line``, and what to give instead.

    ``composes`` tries a remedy before it is offered.
    """
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    reason = first_line(cause).rstrip(".")
    if isinstance(cause, MissingMandatoryValue):
        return (
            NAMELESS
            if key == "cluster.name"
            else f"{key} needs a value: give {key}=VALUE; vbench --help says what it may be."
        )
    given = next((item for item in line if key and item.lstrip("+").startswith(f"{key}=")), None)
    if given is None:
        return _of_no_override(key, line, cause)
    if reason.startswith("Key '"):
        others = [item for item in line if item != given]
        if not given.startswith("+") and composes([*others, f"+{given}"]):
            return f"{given}: {key} does not exist yet: add a plus: {shell_quoted(f'+{given}')}."
        return f"{given}: '{key}' does not exist; vbench --help lists all keys."
    if "is not Optional" in reason:
        return f"{given}: this key cannot be null: leave it out, or give a value."
    return _of_another_kind(given, reason) or f"{given}: {reason}."


def _of_no_override(key: str | None, line: Sequence[str], cause: Exception) -> str:
    """The sentence for a key that no override of ``line`` sets itself."""
    below = next((item for item in line if key and item.lstrip("+").startswith(f"{key}.")), None)
    if key is not None and below is not None:
        return f"{below}: {without_parts(key, below)}."
    if in_file := IN_FILE.match(str(cause)):
        return f"{in_file[1]}.yaml: {in_file[2]}."
    return f"{key or 'the configuration'}: {first_line(cause).rstrip('.')}."


def without_parts(key: str, below: str) -> str:
    """The remark on ``below``, an override of a key below ``key``, which is one value and no section."""
    whole = shell_quoted(f"{key}={below.partition('=')[2]}")
    return f"{key} is one value and has no parts: give {whole}"


def _of_another_kind(given: str, reason: str) -> str | None:
    """The sentence for a value that is no number, or no truth value."""
    key, _, value = given.partition("=")
    kind = next((KINDS[name] for name in KINDS if reason.endswith(f"converted to {name}")), None)
    if "Union[int, str]" in reason:
        kind = "a whole number, or auto"
    if "is not a valid bool" in reason:
        kind = KINDS["Boolean"]
    if kind is None:
        return None
    number = WITH_UNIT.fullmatch(unquoted(value))
    remedy = f": give {key}={number[1]}" if number and "number" in kind else ""
    return f"{given} must be {kind}{remedy}."
