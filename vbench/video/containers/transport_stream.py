"""Checks the packets of an MPEG transport stream, and distinguishes joined segments from lost packets.

Sections are those of ISO/IEC 13818-1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vbench.video.containers.byte_file import ByteFile
from vbench.video.errors import VideoError
from vbench.video.remedies import COPY_AGAIN

_SYNC = 0x47
_PACKET_BYTES = 188
_STRIDES = (188, 192, 204)
"""Bytes from packet to packet: plain, with a time code before (Blu-ray), with a checksum after (DVB)."""
_SEARCHED_BYTES = 8192
_SYNC_RUN = 5
"""Sync bytes in a row that identify a transport stream."""
_BLOCK_PACKETS = 20_000
_PAT_PID = 0
_CONTROL = 0x30
"""``adaptation_field_control``, in the header's last byte: 0 is reserved (2.4.3.3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the packets are: every ``stride`` bytes from offset ``start`` on."""

    start: int
    stride: int


def recognises(file: ByteFile) -> bool:
    """Whether the file begins with transport-stream packets in a row."""
    return _layout(file) is not None


def check(file: ByteFile) -> None:
    """Check that packet follows packet up to the end; other bytes may follow the last one.

    Raises:
        VideoError: the last packet is truncated, or there are other bytes between packets.
    """
    layout = _layout(file)
    if layout is None:
        return
    counters: dict[int, int] = {}
    for at, packets in _blocks(file, layout):
        lost = np.flatnonzero(packets[:, 0] != _SYNC)
        if len(lost):
            _check_no_packets_follow(file, at + int(lost[0]) * layout.stride)
            return
        _record_counters(packets, counters)
    tail = (file.size - layout.start) % layout.stride
    if tail < _PACKET_BYTES and _continues(file.read(file.size - tail, 4), counters):
        raise VideoError(
            f"{file.path} is truncated: its last transport-stream packet has {tail} of 188 bytes;"
            f" {COPY_AGAIN}"
        )


def _record_counters(packets: npt.NDArray[np.uint8], counters: dict[int, int]) -> None:
    """Record the continuity counter of the last packet of each PID."""
    heads = packets[packets[:, 3] & _CONTROL > 0, :4].astype(np.int64)
    pids, from_end = np.unique(_pids(heads)[::-1], return_index=True)
    last = heads[len(heads) - 1 - from_end, 3] & 15
    counters.update(zip(pids.tolist(), last.tolist(), strict=True))


def _continues(header: bytes, counters: dict[int, int]) -> bool:
    """Whether four bytes are the header of the next packet, rather than any text that begins with a 'G'."""
    if len(header) < 4 or header[0] != _SYNC or not header[3] & _CONTROL:
        return False
    pid = (header[1] & 31) << 8 | header[2]
    has_payload = header[3] >> 4 & 1
    return pid in counters and header[3] & 15 == (counters[pid] + has_payload) & 15


def _pids(heads: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    pids: npt.NDArray[np.int64] = (heads[:, 1] & 31) << 8 | heads[:, 2]
    return pids


def has_joins(file: ByteFile, pid: int) -> bool:
    """Whether the continuity counters of ``pid`` jump although no payload is missing.

    libavformat then flags pictures as corrupt. There are two causes. Segments were joined: a segment begins
    with a program association table, and its first payload with a picture, so no picture lacks a packet. Or a
    packet without a payload, such as one with only a clock reference, has its own counter, which says nothing
    about payloads (2.4.3.3). Elsewhere, the counter may jump only if the stream announces it.

    Raises:
        VideoError: packets of ``pid`` are missing, repeated, or flagged as received with errors.
    """
    layout = _layout(file)
    if layout is None:
        return False
    jumps, announced, table = False, False, -1
    last: int | None = None
    """Counter of the last packet, with or without a payload."""
    payload_at, payload_counter = -1, None
    for at, packets in _blocks(file, layout):
        pids = _pids(packets[:, :4].astype(np.int64))
        tables = np.flatnonzero((pids == _PAT_PID) & (packets[:, 1] & 0x40 > 0))
        for row in np.flatnonzero((pids == pid) & (packets[:, 3] & 0x30 > 0)).tolist():
            header = packets[row].tolist()
            offset = at + row * layout.stride
            before = tables[: np.searchsorted(tables, row)]
            if len(before):
                table = at + int(before[-1]) * layout.stride
            if header[1] & 0x80:
                raise VideoError(
                    f"{file.path} is damaged at byte {offset}: its receiver flagged a packet as faulty;"
                    f" {COPY_AGAIN}"
                )
            counter, has_payload, adapted = header[3] & 15, header[3] >> 4 & 1, header[3] >> 4 & 2
            announces = bool(adapted and header[4] and header[5] & 0x80)
            announced = announced or announces
            if last is not None and not announces and counter != (last + has_payload) & 15:
                jumps = True
            last = counter
            if not has_payload:
                continue
            continues = payload_counter is None or counter == (payload_counter + 1) & 15
            if not continues and not announced and not (header[1] & 0x40 and table > payload_at):
                joint = ", or a segment without a program association table was appended there"
                raise VideoError(
                    f"{file.path} is damaged at byte {offset}: transport-stream packets of its video are "
                    f"missing or repeated{joint if header[1] & 0x40 else ''}; {COPY_AGAIN}"
                )
            payload_at, payload_counter, announced = offset, counter, False
    return jumps


def _layout(file: ByteFile) -> _Layout | None:
    head = file.read(0, _SEARCHED_BYTES + _SYNC_RUN * max(_STRIDES))
    for stride in _STRIDES:
        run = min(_SYNC_RUN, len(head) // stride)
        for start in range(min(_SEARCHED_BYTES, len(head))):
            row = head[start : start + run * stride : stride]
            if run > 1 and len(row) == run and row.count(_SYNC) == run:
                return _Layout(start=start, stride=stride)
    return None


def _blocks(file: ByteFile, layout: _Layout) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Offset of each block, and its packets as uint8[P, stride]; the file's last packet may lack its
    checksum."""
    for at in range(layout.start, file.size, _BLOCK_PACKETS * layout.stride):
        content = file.read(at, _BLOCK_PACKETS * layout.stride)
        whole, rest = divmod(len(content), layout.stride)
        if rest >= _PACKET_BYTES:
            content, whole = content + bytes(layout.stride - rest), whole + 1
        yield at, np.frombuffer(content, np.uint8, whole * layout.stride).reshape(whole, layout.stride)


def _check_no_packets_follow(file: ByteFile, at: int) -> None:
    """Distinguish other bytes after the last packet from a gap between packets."""
    for sync_at in file.find_any((bytes([_SYNC]),), at):
        for stride in _STRIDES:
            row = [file.read(sync_at + number * stride, 1) for number in range(_SYNC_RUN)]
            if all(byte == bytes([_SYNC]) for byte in row):
                raise VideoError(
                    f"{file.path} is damaged at byte {at}: no transport-stream packet begins there, "
                    f"although others follow at byte {sync_at}; {COPY_AGAIN}"
                )
