"""Naming the nearest right name when a wrong one was given."""

import difflib
from collections.abc import Iterable


def nearest(wrong: str, right: Iterable[str]) -> str:
    """A remark such as ``did you mean 'oss'? (there are: anyscale, oss, single)``."""
    options = sorted(right)
    close = difflib.get_close_matches(wrong, options, n=1, cutoff=0.5)
    listing = f"there are: {', '.join(options)}" if options else "there are none"
    return f"did you mean '{close[0]}'? ({listing})" if close else listing
