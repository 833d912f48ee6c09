"""Finds arguments and folders that are not in UTF-8: records are JSON, and cannot hold them."""

import os
import sys
from collections.abc import Sequence


def not_utf8(arguments: Sequence[str]) -> str | None:
    """The sentence, without its full stop, for an argument or a current folder that is not in UTF-8; None if
    all are."""
    for what, text in (*(("argument", item) for item in arguments), ("current folder", _current_folder())):
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = text.encode(errors="backslashreplace").decode()
            if sys.flags.utf8_mode or sys.getfilesystemencoding() == "utf-8":
                remedy = "rename it, or make a link to it with a name in UTF-8"
            else:
                remedy = "set PYTHONUTF8=1, or LC_ALL=C.UTF-8"
            return f"the {what} {shown} is not in UTF-8: {remedy}"
    return None


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - the text itself
    except OSError:
        return ""
