"""Numbers as exact fractions, such as ``30000/1001``, and the bounds of a frame rate."""

import re
from fractions import Fraction

MIN_FPS = Fraction(1, 3600)
MAX_FPS = Fraction(240)
"""Bounds of every frame rate, in frames/s: of sampling and of synthetic scenes."""

_DECIMAL_OR_RATIO = re.compile(r"\d{1,9}(\.\d{1,20})?(e-\d{1,2})?|\d{1,9}/\d{1,9}")


def exact_number(value: object) -> Fraction:
    """A number, or a string such as ``30000/1001``, as the fraction that was written: 0.1 is 1/10.

    Raises ValueError, with examples of what to write, for anything that is not a number above 0.
    """
    text = "" if isinstance(value, bool) else str(value).strip()
    denominator = text.partition("/")[2]
    if not _DECIMAL_OR_RATIO.fullmatch(text) or (denominator and not int(denominator)) or not Fraction(text):
        raise ValueError(f"{value!r} is not a number above 0; write 1, 0.5 or a ratio such as '30000/1001'")
    return Fraction(text)


def number_between(value: object, low: Fraction, high: Fraction, unit: str) -> Fraction:
    """``exact_number(value)``; ValueError also if it is below ``low`` or above ``high``."""
    number = exact_number(value)
    if not low <= number <= high:
        raise ValueError(f"{value} is outside {_shown(low)} to {_shown(high)} {unit}")
    return number


def _shown(bound: Fraction) -> str:
    """``0.1`` and ``240``, but ``1/3600``, which has no short decimal form."""
    decimal = f"{float(bound):g}"
    return decimal if Fraction(decimal) == bound else str(bound)


def frame_rate(value: object) -> Fraction:
    """Frames per second, exact; ValueError for what is no number from ``MIN_FPS`` to ``MAX_FPS``."""
    return number_between(value, MIN_FPS, MAX_FPS, "frames/s")
