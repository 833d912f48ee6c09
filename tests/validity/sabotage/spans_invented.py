"""Each request has decoded more than there was."""

from dataclasses import replace
from typing import Any


def change(drive: Any) -> None:
    honest = drive._checked

    def checked(*arguments: Any) -> Any:
        request, spans = honest(*arguments)
        decoded = [span for span in spans if (span.stage, span.kind) == ("decode", "compute")]
        return request, [*spans, *(replace(span, end_s=span.end_s + 4.0) for span in decoded)]

    drive._checked = checked


CHANGES = {"vbench.load.video_load": change}
