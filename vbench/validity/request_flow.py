"""Whether a request's spans show the configured chunk length, window and overlap."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction

from vbench.config.schema import Config
from vbench.record.intervals import most_at_once
from vbench.record.requests import Request, SpanLine


def deviations(config: Config, request: Request, lines: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    """What differs, for one answered request; ``off_s``: how far clocks may be apart.

    A smaller window, and overlap that ``relay`` is configured with but does not use, look the same as slow
    stages.
    """
    yield from _chunk_length(config, request, lines)
    yield from _window(config, lines, off_s)
    yield from _overlap(config, lines, off_s)


def _of(lines: Sequence[SpanLine], stage: str, kind: str) -> list[SpanLine]:
    return [span for span in lines if (span.stage, span.kind) == (stage, kind)]


def _chunk_length(config: Config, request: Request, lines: Sequence[SpanLine]) -> Iterator[str]:
    """The last chunk is the one with the last frame, whose duration is known for scenes only."""
    chunk_s = Fraction(str(config.pipeline.chunk_s))
    count = sum(span.chunk is not None for span in _of(lines, "chunk", "compute"))
    most = math.floor(Fraction(request.video_s) / chunk_s) + 1
    scene = config.video.scene
    last_s = request.video_s - 1 / float(Fraction(scene.fps)) - 1e-6 if scene else 0.0
    least = math.floor(Fraction(max(0.0, last_s)) / chunk_s) + 1
    if count < least or (count > most and not _may_be_cut(config, request, chunk_s)):
        yield (
            f"its {request.video_s:g} s were split into {count} chunks, which does not match"
            f" pipeline.chunk_s={config.pipeline.chunk_s}"
        )


def _may_be_cut(config: Config, request: Request, chunk_s: Fraction) -> bool:
    """Whether a chunk may have so many bytes that ``chunk_mb`` splits it."""
    if config.pipeline.chunk_mb is None:
        return False
    frames = float(Fraction(str(config.pipeline.fps)) * chunk_s) + 2
    return frames * request.frame_bytes > config.pipeline.chunk_mb * 1e6 * request.frames_got


def _window(config: Config, lines: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    """A chunk is in flight from before it is split until it is inferred, or decoded if frames are held
    back."""
    held = config.mode == "combined" or not config.pipeline.overlap
    end_s = {span.chunk: span.end_s for span in _of(lines, "decode" if held else "infer", "compute")}
    places = [
        (span.start_s, end_s[span.chunk])
        for span in _of(lines, "chunk", "compute")
        if span.chunk is not None and span.chunk in end_s
    ]
    most = most_at_once(places, off_s)
    if most > config.pipeline.window:
        yield (
            f"{most} of its chunks were in flight at once, but window={config.pipeline.window} is configured"
        )


def _overlap(config: Config, lines: Sequence[SpanLine], off_s: float) -> Iterator[str]:
    if config.mode == "combined":
        return
    inferred = _of(lines, "infer", "compute")
    decoded_s = max((span.end_s for span in _of(lines, "decode", "compute")), default=-math.inf)
    if not config.pipeline.overlap:
        if any(span.start_s < decoded_s - off_s for span in inferred):
            yield "frames were inferred while others were decoded, but overlap=false is configured"
    elif config.pipeline.handoff == "direct":
        # Frames that are held back wait a second time.
        waits = Counter(span.chunk for span in _of(lines, "infer", "queue"))
        if any(count > 1 for count in waits.values()):
            yield "frames were held back until all were decoded, but overlap=true is configured"
