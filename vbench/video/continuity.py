"""Copies an MPEG transport stream with continuity counters that never break, as if it were never joined."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SYNC = 0x47
PACKET_BYTES = 188
_LEADING_BYTES = {188: 0, 192: 4}
"""Length of a packet: bytes of it before the sync byte. M2TS puts 4 bytes of arrival time before each."""
_BATCH_PACKETS = 50_000
_NULL_PID = 0x1FFF


def packet_layout(path: Path) -> tuple[int, int] | None:
    """(bytes per packet, bytes before its sync byte) of a transport stream; None for another file."""
    with path.open("rb") as file:
        head = file.read(3 * max(_LEADING_BYTES))
    for length, leading in _LEADING_BYTES.items():
        if len(head) > leading + length and all(
            head[at] == SYNC for at in range(leading, min(len(head), 3 * length), length)
        ):
            return length, leading
    return None


@contextmanager
def continuous(path: Path) -> Generator[Path]:
    """The file itself, or a copy of it for a transport stream whose counters break.

    Segments that were joined by ``cat`` count from the start again, which FFmpeg takes for a loss. In the
    copy the counter of each PID goes on at every packet with a payload (ISO/IEC 13818-1, 2.4.3.3); packets
    sent twice keep one. What is really lost, a decoder still notices.
    """
    layout = packet_layout(path)
    if layout is None or not _breaks(path, layout):
        yield path
        return
    length, leading = layout
    counters: dict[int, tuple[int, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with path.open("rb") as source, copy.open("wb") as target:
            while batch := bytearray(source.read(length * _BATCH_PACKETS)):
                for at in range(leading, len(batch) - PACKET_BYTES + 1, length):
                    if batch[at] == SYNC and batch[at + 3] & 0x10:
                        _renumber(batch, at, counters)
                target.write(batch)
        yield copy


def _breaks(path: Path, layout: tuple[int, int]) -> bool:
    """Whether a counter does not go on from one packet with a payload to the next of the same PID."""
    length, leading = layout
    last: dict[int, int] = {}
    with path.open("rb") as file:
        while data := file.read(length * _BATCH_PACKETS):
            whole = np.frombuffer(data, np.uint8)[: len(data) // length * length].reshape(-1, length)
            heads = whole[:, leading : leading + 4].astype(np.int64)
            heads = heads[(heads[:, 0] == SYNC) & (heads[:, 3] & 0x10 > 0)]
            pids = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
            for pid in set(pids.tolist()) - {_NULL_PID}:
                counters = heads[pids == pid, 3] & 0x0F
                steps = np.diff(counters, prepend=last.get(pid, counters[0])) & 0x0F
                if (steps > 1).any():
                    return True
                last[pid] = int(counters[-1])
    return False


def _renumber(data: bytearray, at: int, counters: dict[int, tuple[int, int]]) -> None:
    """``counters``: PID -> the counter of its last packet as it was, and as it is now."""
    pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
    if pid == _NULL_PID:
        return
    was = data[at + 3] & 0x0F
    before = counters.get(pid)
    new = was if before is None else before[1] if before[0] == was else before[1] + 1 & 0x0F
    counters[pid] = (was, new)
    data[at + 3] = data[at + 3] & 0xF0 | new
