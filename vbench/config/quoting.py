"""Writes values and commands so that what a message prints works when it is pasted into a shell."""

import re
import shlex
import tempfile
from pathlib import Path

NEEDS_SINGLE_QUOTES = re.compile(r'["$`\\!]')
"""Characters that a shell reads inside double quotes."""

UNQUOTED = re.compile(r"[\s'\"\\$`&;|<>()*?\[\]{}]")
"""Characters that end or change a word of a shell command. Ray starts its workers through ``bash -c`` and
does not quote the interpreter's path."""

LITERAL = re.compile(r"(?!(?:null|true|false|nan|inf)$)[A-Za-z_/][\w./-]*", re.ASCII | re.IGNORECASE)
"""Values that Hydra reads as they are, without quotes."""


def hydra_quoted(value: str) -> str:
    """``value`` as one quoted value of a Hydra override, whatever characters are in it.

    In Hydra's grammar a backslash escapes only a quote, or another backslash before one; ``${`` starts an
    interpolation unless a backslash stands before it.
    """
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + (escaped + "\\" * trailing).replace("${", "\\${") + "'"


def shell_quoted(text: str) -> str:
    """One word of a shell command, in double quotes if that is enough."""
    if shlex.quote(text) == text:
        return text
    return shlex.quote(text) if NEEDS_SINGLE_QUOTES.search(text) else f'"{text}"'


def override(key: str, value: str) -> str:
    """``key=value`` as it is pasted behind ``vbench``."""
    return shell_quoted(f"{key}={value if LITERAL.fullmatch(value) else hydra_quoted(value)}")


def example_folder(name: str, refused: re.Pattern[str]) -> str:
    """A folder that a message can name: below the folder for temporary files, or below ``/tmp`` if
    ``refused`` matches that one too."""
    root = tempfile.gettempdir()
    return str(Path("/tmp" if refused.search(root) else root) / name)


def unquoted(value: str) -> str:
    """``value`` without the quotes around it that a shell has left."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def resume_command(folder: Path) -> str:
    """The command that resumes the sweep in ``folder``."""
    return f"vbench {shell_quoted(f'resume={folder.resolve()}')}"
