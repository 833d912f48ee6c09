"""Shortens text for a response, so that long input of a client is not echoed in full."""

import re

LONGEST_ECHO = 200
"""Characters of a name, path or value that a client sent."""
LONGEST_MESSAGE = 400
"""Characters of the message on one field."""
LONGEST_SENTENCE = 1000
"""Characters of the whole message of a response."""

_LONG_WORD = re.compile(rf"\S{{{LONGEST_ECHO + 1},}}")


def shortened(text: str, longest: int = LONGEST_ECHO) -> str:
    """``text``, without its middle if it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    kept = (longest - len(" ... ")) // 2
    return f"{text[:kept]} ... {text[-kept:]}"


def short_sentence(text: str) -> str:
    """A sentence with each word, and all of it, within bounds: a client chooses how long a path in it is."""
    words = _LONG_WORD.sub(lambda word: shortened(word.group()), text)
    return shortened(words, LONGEST_SENTENCE)
