"""Follows the movie fragments of an MP4 file, and detects missing and damaged ones.

Sections are those of ISO/IEC 14496-12.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.video.errors import VideoError
from vbench.video.remedies import COPY_AGAIN

_BASE_OFFSET, _DESCRIPTION, _DEFAULT_DURATION = 1, 2, 8
"""Flags of ``tfhd`` (8.8.7): which fields it has."""
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 1, 4, 0x100, 0x200, 0x400, 0x800
"""Flags of ``trun`` (8.8.8)."""
_FINE_TICKS = 16
"""From this many ticks per sample on, durations may each be off by one tick, because the writer rounded
them."""

Parts = Sequence[tuple[bytes, bytes]]
"""Boxes within a ``traf``: type and content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """A gap between two fragments of the same track."""

    at: int
    """Byte offset of the fragment after the gap."""
    first: int
    """Sequence number of the first fragment that may be missing."""
    last: int
    """Sequence number of the last one."""
    missing: int
    """How many numbers from ``first`` to ``last`` no fragment has."""


@dataclass(slots=True, kw_only=True)
class _Track:
    """What is known of one track after its last fragment."""

    next_time: int | None = None
    """Decode time at which the track continues, in ticks."""
    rounding: int | None = None
    """Ticks that may separate two fragments with nothing missing; None if unknown."""
    number: int | None = None
    """Sequence number of the last fragment."""
    rank: int = 0
    """The last fragment's rank, see ``FragmentSequence``."""
    usually_missing: int | None = None
    """Fewest missing numbers between two fragments whose times continue."""
    gap: _Gap | None = None
    """The gap with the most missing numbers."""


class FragmentSequence:
    """Follows the fragments' sequence numbers and decode times, track by track.

    Each fragment has a number, and usually states when each of its tracks continues. Fragments of a track are
    missing if its times *and* the file's numbers have a gap, and the numbers have no such gap where the times
    continue. A recording with a pause has a gap in times only; a file without its audio has gaps in numbers
    only, or as many missing numbers at each fragment as at a pause.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._durations: dict[int, int] = {}
        """Default duration of a sample in ticks, by track."""
        self._tracks: dict[int, _Track] = {}
        self._highest: int | None = None
        """The highest number so far."""
        self._rank = 0
        """How many fragments had a higher number than all earlier ones."""

    def add_defaults(self, trex: bytes) -> None:
        """Add a track's defaults: the content of a ``trex`` box (8.8.3)."""
        self._durations[_number(trex, 4)] = _number(trex, 12)

    def add_samples(self, track_id: int, samples: int, ticks: int) -> None:
        """Add the samples of a track in the ``moov`` box itself: its fragments continue there, with number
        1."""
        if samples:
            self._tracks[track_id] = _Track(next_time=ticks, rounding=_rounding(samples, ticks), number=0)

    def add(self, at: int, number: int | None, tracks: Sequence[Parts]) -> None:
        """Add the next fragment.

        Args:
            at: its byte offset.
            number: its sequence number (``mfhd``); None if it has none.
            tracks: the boxes within each of its ``traf`` boxes.

        Raises:
            VideoError: it is damaged.
        """
        if number is not None and (self._highest is None or number > self._highest):
            self._highest, self._rank = number, self._rank + 1
        for parts in tracks:
            track_id, default = self._header(at, parts)
            track = self._tracks.setdefault(track_id, _Track())
            start = next((_time(content) for kind, content in parts if kind == b"tfdt"), None)
            self._compare(track, at, number, start)
            runs = [_run(content, default) for kind, content in parts if kind == b"trun"]
            samples, ticks = sum(run[0] for run in runs), sum(run[1] for run in runs)
            begins = start if start is not None else track.next_time
            track.next_time = begins + ticks if begins is not None else None
            if samples:
                track.rounding = _rounding(samples, ticks)
            track.number, track.rank = number, self._rank

    def check(self, track_id: int) -> None:
        """Check that no fragments of a track are missing.

        Raises:
            VideoError: some are missing.
        """
        track = self._tracks.get(track_id)
        if track is None or track.gap is None or track.gap.missing <= (track.usually_missing or 0):
            return
        gap = track.gap
        if gap.first == gap.last:
            what = f"its movie fragment {gap.first} is missing"
        else:
            some = "" if gap.missing == gap.last - gap.first + 1 else f"{gap.missing} of "
            what = f"{some}its movie fragments {gap.first} to {gap.last} are missing"
        raise VideoError(f"{self._path} is damaged before byte {gap.at}: {what}; {COPY_AGAIN}")

    def _compare(self, track: _Track, at: int, number: int | None, start: int | None) -> None:
        """Compare a fragment with the previous one of the same track."""
        if None in (start, number, track.next_time, track.rounding, track.number):
            return
        assert start is not None
        assert number is not None
        assert track.next_time is not None
        assert track.rounding is not None
        assert track.number is not None
        between = max(self._rank - track.rank - 1, 0)
        missing = max(number - track.number - 1 - between, 0)
        if start <= track.next_time + track.rounding:
            usual = track.usually_missing
            track.usually_missing = missing if usual is None else min(usual, missing)
        elif missing > (track.gap.missing if track.gap else 0):
            track.gap = _Gap(at=at, first=track.number + 1, last=number - 1, missing=missing)

    def _header(self, at: int, parts: Parts) -> tuple[int, int]:
        """Track number and default duration of a ``traf``."""
        header = next((content for kind, content in parts if kind == b"tfhd"), b"")
        if len(header) < 8:
            raise VideoError(
                f"{self._path} is damaged: the movie fragment at byte {at} names no track; {COPY_AGAIN}"
            )
        flags, track, field = _number(header, 0) & 0xFFFFFF, _number(header, 4), 8
        field += 8 * bool(flags & _BASE_OFFSET) + 4 * bool(flags & _DESCRIPTION)
        default = self._durations.get(track, 0)
        return track, _number(header, field) if flags & _DEFAULT_DURATION else default


def _rounding(samples: int, ticks: int) -> int | None:
    """Ticks by which rounded durations may miss a time: less than half a sample, or one tick per sample."""
    if ticks == 0:
        return None
    half = (ticks - 1) // (2 * samples)
    return max(half, samples) if ticks >= _FINE_TICKS * samples else half


def _run(trun: bytes, default: int) -> tuple[int, int]:
    """Number of samples in a ``trun``, and their duration in ticks."""
    flags, count = _number(trun, 0) & 0xFFFFFF, _number(trun, 4)
    if not flags & _DURATION:
        return count, count * default
    at = 8 + 4 * bool(flags & _DATA_OFFSET) + 4 * bool(flags & _FIRST_FLAGS)
    stride = 4 * sum(bool(flags & field) for field in (_DURATION, _SIZE, _FLAGS, _COMPOSITION))
    places = range(at, min(at + count * stride, len(trun)), stride)
    return len(places), sum(_number(trun, offset) for offset in places)


def _time(tfdt: bytes) -> int:
    return int.from_bytes(tfdt[4:12], "big") if tfdt[:1] == b"\1" else _number(tfdt, 4)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")
