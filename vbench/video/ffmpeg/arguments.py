"""Reads from FFmpeg's command line how it decoded: threads, hardware acceleration, pixel format."""

from collections.abc import Mapping, Sequence
from itertools import pairwise


def decode_settings(arguments: Sequence[str]) -> Mapping[str, str | int | None]:
    """``threads`` of decoder, filters and scaler, ``hwaccel``, and ``pixel_format`` of the frames.

    If an option is given twice, FFmpeg uses the last. ``threads`` is a text with two numbers if decoder and
    filters differ.

    Args:
        arguments: of a run with one input and one output, as vbench starts it.
    """
    at = list(arguments).index("-i") if "-i" in arguments else len(arguments)
    before, after = _options(arguments[:at]), _options(arguments[at:])
    threads = {_number(before.get("-threads")), _number(before.get("-cpucount"))}
    return {
        "threads": threads.pop() if len(threads) == 1 else ", ".join(sorted(map(str, threads))),
        "hwaccel": before.get("-hwaccel"),
        "pixel_format": after.get("-pix_fmt"),
    }


def _options(words: Sequence[str]) -> dict[str, str]:
    """Each argument that begins like an option, with the argument after it."""
    return {name.partition(":")[0]: value for name, value in pairwise(words) if name.startswith("-")}


def _number(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isdecimal() else text
