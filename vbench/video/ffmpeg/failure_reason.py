"""Finds in FFmpeg's messages the reason why a run failed."""

import re

_MAX_CHARACTERS = 300

_CONSEQUENCES = re.compile(
    r"Conversion failed|Error while filtering|Error processing packet|Error submitting|Task finished"
    r"|Terminating thread|Nothing was written|Error sending frames"
    r"|Error opening (input|output) files?\b|Error while decoding stream"
)
"""FFmpeg's lines that only report that something failed before."""

_MEANINGS = {
    "Invalid too big or non positive size for width": "a picture differs in size from the first",
    "automatic conversion is disabled": "a picture differs in pixel format or colours from the first",
}
"""What FFmpeg's messages mean if they come from the filters of ``filters.frame_graph``."""


def failure_reason(messages: str, status: int) -> str:
    """FFmpeg's own reason in one line, without addresses: the last one before it began to give up.

    Args:
        messages: what FFmpeg wrote to its standard error.
        status: its exit status; negative: the signal that ended it.
    """
    reason = f"FFmpeg was ended by signal {-status}" if status < 0 else f"FFmpeg exited with status {status}"
    lines = [re.sub(r"^(\[[^\]]*\]\s*)+", "", line).strip().rstrip(".") for line in messages.splitlines()]
    for line in lines:
        if _CONSEQUENCES.search(line):
            detail = line.rpartition(": ")[2] if ": " in line else ""
            return (reason if reason in lines or not detail else detail)[:_MAX_CHARACTERS]
        meaning = next((meaning for words, meaning in _MEANINGS.items() if words in line), None)
        if meaning is not None:
            return meaning
        if line and not line.startswith("Last message repeated"):
            reason = line
    return reason[:_MAX_CHARACTERS]
