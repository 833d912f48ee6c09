"""Copies an MPEG transport stream with continuity counters that never break, as if it were never joined."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SYNC = 0x47
PACKET_BYTES = 188
_PACKET_STEPS = (188, 192, 204)
"""Bytes from one packet to the next: plain, behind an arrival time (M2TS), before a checksum (DVB)."""
_SEARCHED_BYTES = 8192
_SYNC_RUN = 5
"""Sync bytes in a row that tell a transport stream from another file."""
_BATCH_PACKETS = 50_000
_NULL_PID = 0x1FFF
_PAYLOAD = 0x10
"""The bit of a packet's fourth byte that says that it has a payload."""


def packet_layout(path: Path) -> tuple[int, int] | None:
    """(bytes from packet to packet, place of the first) of a transport stream; None for another file."""
    with path.open("rb") as file:
        head = file.read(_SEARCHED_BYTES + _SYNC_RUN * max(_PACKET_STEPS))
    for step in _PACKET_STEPS:
        run = min(_SYNC_RUN, len(head) // step)
        for start in range(min(_SEARCHED_BYTES, len(head))):
            row = head[start : start + run * step : step]
            if run > 1 and len(row) == run and row.count(SYNC) == run:
                return step, start
    return None


@contextmanager
def continuous(path: Path) -> Generator[Path]:
    """The file itself, or a copy of it for a transport stream whose counters break.

    Segments that were joined by ``cat`` count from the start again, which FFmpeg takes for a loss. In the
    copy the counter of each PID goes on at every packet with a payload, and stays as it is at one without
    (ISO/IEC 13818-1, 2.4.3.3); packets sent twice keep one. What is really lost, a decoder still notices.
    """
    layout = packet_layout(path)
    if layout is None or not _breaks(path, layout):
        yield path
        return
    step, start = layout
    last: dict[int, _Last] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with path.open("rb") as source, copy.open("wb") as target:
            target.write(source.read(start))
            while batch := bytearray(source.read(step * _BATCH_PACKETS)):
                for at in range(0, len(batch) - PACKET_BYTES + 1, step):
                    if batch[at] == SYNC and batch[at + 3] & 0x30:
                        _renumber(batch, at, last)
                target.write(batch)
        yield copy


def _breaks(path: Path, layout: tuple[int, int]) -> bool:
    """Whether a counter does not go on as FFmpeg expects, from one packet to the next of the same PID."""
    step, start = layout
    last: dict[int, int] = {}
    with path.open("rb") as file:
        file.seek(start)
        while data := file.read(step * _BATCH_PACKETS):
            whole = np.frombuffer(data, np.uint8)[: len(data) // step * step].reshape(-1, step)
            heads = whole[:, :4].astype(np.int64)
            heads = heads[(heads[:, 0] == SYNC) & (heads[:, 3] & 0x30 > 0)]
            pids = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
            for pid in set(pids.tolist()) - {_NULL_PID}:
                own = heads[pids == pid, 3]
                counters, payloads = own & 0x0F, own >> 4 & 1
                before = last.get(pid, counters[0] - payloads[0])
                if ((np.diff(counters, prepend=before) - payloads) & 0x0F).any():
                    return True
                last[pid] = int(counters[-1])
    return False


_Last = tuple[bytes, int]
"""Of the last packet of a PID: its counter as it was with its payload (empty without one), and its counter
as it is now."""


def _renumber(data: bytearray, at: int, last: dict[int, _Last]) -> None:
    pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
    if pid == _NULL_PID:
        return
    control = data[at + 3]
    begins = at + (5 + data[at + 4] if control & 0x20 else 4)
    sent = bytes([control & 0x0F, *data[begins : at + PACKET_BYTES]]) if control & _PAYLOAD else b""
    before, counter = last.get(pid, (b"", control - bool(control & _PAYLOAD) & 0x0F))
    if sent and sent != before:
        counter = counter + 1 & 0x0F
    last[pid] = (sent or before, counter)
    data[at + 3] = control & 0xF0 | counter
