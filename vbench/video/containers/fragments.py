"""Notes the movie fragments of an MP4 file in order, and finds that one is missing or damaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.video.errors import VideoError

_BASE_OFFSET, _DESCRIPTION, _DEFAULT_DURATION = 1, 2, 8
"""Flags of ``tfhd`` (ISO/IEC 14496-12, 8.8.7): which fields it has."""
_DATA_OFFSET, _FIRST_FLAGS, _DURATION, _SIZE, _FLAGS, _COMPOSITION = 1, 4, 0x100, 0x200, 0x400, 0x800
"""Flags of ``trun`` (8.8.8)."""
_FINE_TICKS = 16
"""Samples of so many ticks may each be off by one tick, because a writer rounded their durations."""

Parts = Sequence[tuple[bytes, bytes]]
"""Boxes within a ``traf``: type and content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """A fragment that begins later than the one before it of the same track ends."""

    at: int
    """Byte of the fragment behind the gap."""
    first: int
    """Number of the first fragment that may be missing."""
    last: int
    missing: int
    """How many of the numbers from ``first`` to ``last`` no fragment has."""


@dataclass(slots=True, kw_only=True)
class _Track:
    """What the fragments of one track said last."""

    next_time: int | None = None
    """Ticks at which the track continues."""
    rounding: int | None = None
    """Ticks that may lie between two fragments with nothing missing; None if that cannot be told."""
    number: int | None = None
    """Of the last fragment."""
    rank: int = 0
    """The last fragment's rank, see ``FragmentOrder``."""
    usually_missing: int | None = None
    """Fewest numbers that no fragment has between two fragments whose times continue."""
    gap: _Gap | None = None
    """The gap with the most missing numbers."""


class FragmentOrder:
    """Follows the fragments' numbers and times, each track by itself.

    Each fragment has a number, and usually says when each of its tracks continues. Fragments of a track are
    missing if its times *and* the file's numbers leave something out, and the numbers do not leave out as
    much where the times continue. A recording with a pause leaves out times only; a file without its audio
    leaves out numbers only, or at each fragment as many as at a pause.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._durations: dict[int, int] = {}
        """Ticks of a sample by track, if the fragment does not say."""
        self._tracks: dict[int, _Track] = {}
        self._highest: int | None = None
        """The highest number so far."""
        self._rank = 0
        """How many fragments had a higher number than all before them."""

    def see_defaults(self, trex: bytes) -> None:
        """Note a track's defaults: the content of a ``trex`` box."""
        self._durations[_number(trex, 4)] = _number(trex, 12)

    def see_samples(self, track_id: int, samples: int, ticks: int) -> None:
        """Note what the ``moov`` box itself has of a track: its fragments continue there, with number 1."""
        if samples:
            self._tracks[track_id] = _Track(next_time=ticks, rounding=_rounding(samples, ticks), number=0)

    def see(self, at: int, number: int | None, tracks: Sequence[Parts]) -> None:
        """Note the fragment at byte ``at``.

        Raises:
            VideoError: it cannot be read.
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
            VideoError: some are.
        """
        track = self._tracks.get(track_id)
        if track is None or track.gap is None or track.gap.missing <= (track.usually_missing or 0):
            return
        gap = track.gap
        whole = gap.missing == gap.last - gap.first + 1
        raise VideoError(
            f"{self._path} is damaged before byte {gap.at}: its movie fragments up to number {gap.last} "
            + (
                f"are missing from number {gap.first} on"
                if whole
                else f"lack {gap.missing} of the numbers from {gap.first} on"
            )
        )

    def _compare(self, track: _Track, at: int, number: int | None, start: int | None) -> None:
        """Hold a fragment against the one before it of the same track."""
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
            raise VideoError(f"{self._path} is damaged: a movie fragment at byte {at} names no track")
        flags, track, field = _number(header, 0) & 0xFFFFFF, _number(header, 4), 8
        field += 8 * bool(flags & _BASE_OFFSET) + 4 * bool(flags & _DESCRIPTION)
        default = self._durations.get(track, 0)
        return track, _number(header, field) if flags & _DEFAULT_DURATION else default


def _rounding(samples: int, ticks: int) -> int | None:
    """Ticks by which rounded durations may miss a time: under half a sample, or a tick per sample."""
    if ticks == 0:
        return None
    half = (ticks - 1) // (2 * samples)
    return max(half, samples) if ticks >= _FINE_TICKS * samples else half


def _run(trun: bytes, default: int) -> tuple[int, int]:
    """How many samples a ``trun`` has, and ticks that they last."""
    flags, count = _number(trun, 0) & 0xFFFFFF, _number(trun, 4)
    if not flags & _DURATION:
        return count, count * default
    at = 8 + 4 * bool(flags & _DATA_OFFSET) + 4 * bool(flags & _FIRST_FLAGS)
    stride = 4 * sum(bool(flags & field) for field in (_DURATION, _SIZE, _FLAGS, _COMPOSITION))
    places = range(at, min(at + count * stride, len(trun)), stride)
    return len(places), sum(_number(trun, place) for place in places)


def _time(tfdt: bytes) -> int:
    return int.from_bytes(tfdt[4:12], "big") if tfdt[:1] == b"\1" else _number(tfdt, 4)


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "big")
