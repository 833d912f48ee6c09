"""Notes the movie fragments of an MP4 file in order, and finds that one is missing or damaged."""

from collections.abc import Sequence
from pathlib import Path

from vbench.video.errors import VideoError

_BASE_OFFSET, _DESCRIPTION, _DEFAULT_DURATION, _DEFAULT_SIZE = 1, 2, 8, 16
"""Flags of ``tfhd`` (ISO/IEC 14496-12, 8.8.7): which fields it has."""
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 1, 4, 0x100, 0x200, 0x400, 0x800
"""Flags of ``trun`` (8.8.8)."""

Parts = Sequence[tuple[bytes, bytes]]
"""Boxes within a ``traf``: type and content."""


class FragmentOrder:
    """Follows the fragments' numbers and times.

    Each fragment has a number, and says when each track continues. If numbers *and* times leave something
    out, fragments are missing; a recording with a pause leaves out times only.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._durations: dict[int, int] = {}
        """Ticks of a sample by track, if the fragment does not say."""
        self._next_time: dict[int, int] = {}
        """Ticks at which each track continues."""
        self._sequence: int | None = None

    def see_defaults(self, trex: bytes) -> None:
        """Note a track's defaults: the content of a ``trex`` box."""
        self._durations[_number(trex, 4)] = _number(trex, 12)

    def see(self, at: int, sequence: int | None, tracks: Sequence[Parts]) -> None:
        """Note the fragment at byte ``at``.

        Raises:
            VideoError: it does not continue what was seen, or cannot be read.
        """
        skipped = self._sequence is not None and sequence is not None and sequence > self._sequence + 1
        for parts in tracks:
            track, default = self._header(at, parts)
            start = next((_time(content) for kind, content in parts if kind == b"tfdt"), None)
            expected = self._next_time.get(track)
            if skipped and start is not None and expected is not None and start > expected:
                missing = sequence - 1 if sequence is not None else 0
                raise VideoError(
                    f"{self._path} is damaged before byte {at}: its movie fragments up to number {missing} "
                    f"are missing from number {(self._sequence or 0) + 1} on"
                )
            run = sum(_run_ticks(content, default) for kind, content in parts if kind == b"trun")
            begins = start if start is not None else expected
            if begins is not None:
                self._next_time[track] = begins + run
        self._sequence = sequence if sequence is not None else self._sequence

    def _header(self, at: int, parts: Parts) -> tuple[int, int]:
        """Track number and default duration of a ``traf``."""
        header = next((content for kind, content in parts if kind == b"tfhd"), b"")
        if len(header) < 8:
            raise VideoError(f"{self._path} is damaged: a movie fragment at byte {at} names no track")
        flags, track, field = _number(header, 0) & 0xFFFFFF, _number(header, 4), 8
        field += 8 * bool(flags & _BASE_OFFSET) + 4 * bool(flags & _DESCRIPTION)
        default = self._durations.get(track, 0)
        return track, _number(header, field) if flags & _DEFAULT_DURATION else default


def _run_ticks(trun: bytes, default: int) -> int:
    """Ticks that the samples of a ``trun`` last."""
    flags, count = _number(trun, 0) & 0xFFFFFF, _number(trun, 4)
    if not flags & _DURATION:
        return count * default
    at = 8 + 4 * bool(flags & _DATA_OFFSET) + 4 * bool(flags & _FIRST_FLAGS)
    stride = 4 * sum(bool(flags & field) for field in (_DURATION, _SIZE, _FLAGS, _COMPOSITION))
    return sum(_number(trun, place) for place in range(at, min(at + count * stride, len(trun)), stride))


def _time(tfdt: bytes) -> int:
    return int.from_bytes(tfdt[4:12], "big") if tfdt[:1] == b"\1" else _number(tfdt, 4)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")
