"""Copies an MPEG transport stream with continuous counters, as if its segments had never been joined."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SYNC = 0x47
PACKET_BYTES = 188
_PACKET_STEPS = (188, 192, 204)
"""Bytes from packet to packet: plain, after an arrival time (M2TS), before a checksum (DVB)."""
_SEARCHED_BYTES = 8192
_SYNC_RUN = 5
"""Sync bytes in a row that identify a transport stream."""
_BATCH_PACKETS = 50_000
_NULL_PID = 0x1FFF
_PAYLOAD = 0x10
"""The bit of a packet's fourth byte that is set if it has a payload."""


def packet_layout(path: Path) -> tuple[int, int] | None:
    """Bytes from packet to packet, and offset of the first, of a transport stream; None for another file."""
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
    """The file itself, or a copy if it is a transport stream whose counters jump.

    The counters of segments joined by ``cat`` start again, which FFmpeg takes for a loss. In the copy, the
    counter of each PID increases at every packet with a payload, and stays at one without (ISO/IEC 13818-1,
    2.4.3.3); packets that were sent twice share one. A decoder still notices what is really lost.
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
    """Whether a counter jumps from one packet of a PID to the next."""
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
                control = heads[pids == pid, 3]
                counters, payloads = control & 0x0F, control >> 4 & 1
                before = last.get(pid, counters[0] - payloads[0])
                if ((np.diff(counters, prepend=before) - payloads) & 0x0F).any():
                    return True
                last[pid] = int(counters[-1])
    return False


_Last = tuple[bytes, int]
"""The last packet of a PID: its original counter and payload (empty without one), and its new counter."""


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
