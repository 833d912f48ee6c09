"""The token that Ray's own tools would find here for a cluster."""

import os
from dataclasses import dataclass, field

MODE = "RAY_AUTH_MODE"
"""``token`` or ``disabled``; if it is unset, Ray uses a token if it finds one."""

SOURCES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Environment variables with the token, and with the path of its file, in the order of Ray's lookup."""

DEFAULT_FILE = "~/.ray/auth_token"
"""The file that is read if neither is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, and where it comes from."""

    value: str = field(repr=False)
    source: str
    """An environment variable, or a file."""


def find_token() -> Token | None:
    """The token that Ray finds; None if there is none, or tokens are disabled.

    Raises Ray's AuthenticationError if RAY_AUTH_TOKEN_PATH names a file that holds none.
    """
    if os.environ.get(MODE, "").lower() == "disabled":
        return None
    from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    value = str(loader.get_raw_token(ignore_auth_mode=True)).strip()
    source = next((name for name in SOURCES if os.environ.get(name)), DEFAULT_FILE)
    return Token(value=value, source=source) if value else None
