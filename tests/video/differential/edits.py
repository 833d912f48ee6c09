"""Edits that FFmpeg does not do: edit lists, joins, damage, rewritten headers.

``python -m tests.video.differential.edits EDIT ARGUMENT... OUTPUT``
"""

import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from tests.video.support.clean_aperture import with_clean_aperture
from tests.video.support.fields import Packing, as_fields
from tests.video.support.fragment_edits import edited
from tests.video.support.ts_packets import joined, packets_of, with_clock_reference
from tests.video.support.vfw import as_vfw


def cat(*paths: str) -> bytes:
    """The files' bytes one after the other."""
    return b"".join(Path(path).read_bytes() for path in paths)


def cat_clocks(counter: str, announced: str, *paths: str) -> bytes:
    """Transport streams one after the other, each with a clock reference alone before its video."""
    segments = [
        with_clock_reference(packets_of(Path(path)), int(counter), announced=announced == "announced")
        for path in paths
    ]
    return _written("ts", lambda out: joined(out, segments))


def fields(path: str, packing: str, gop: str, container: str) -> bytes:
    """H.264 whose frames are coded as two fields, from pictures of half the height."""
    return _written(
        container, lambda out: as_fields(Path(path), out, packing=cast("Packing", packing), gop=int(gop))
    )


def vfw(path: str, size: str) -> bytes:
    """A Matroska file as if it came from AVI."""
    width, height = map(int, size.split("x"))
    return _written("mkv", lambda out: as_vfw(Path(path), out, size=(width, height)))


def clap(path: str, *numbers: str) -> bytes:
    """An MP4 file with a clean aperture."""
    return _written("mp4", lambda out: with_clean_aperture(Path(path), out, *map(int, numbers)))


def lose_fragments(path: str, track: str, late_ticks: str) -> bytes:
    """A fragmented MP4 file without the fragments of another track, and the later ones of this one late."""
    return _written(
        "mp4",
        lambda out: edited(
            Path(path),
            out,
            lambda found: [
                each.at_time((each.time or 0) + int(late_ticks) * (each.number > 1))
                for each in found
                if each.track == int(track)
            ],
        ),
    )


def concat_list(*paths: str) -> bytes:
    """A list of files for FFmpeg's concat demuxer."""
    return "".join(f"file '{Path(path).absolute()}'\n" for path in paths).encode()


def truncate(path: str, share: str) -> bytes:
    """The first part of the file."""
    data = Path(path).read_bytes()
    return data[: int(len(data) * float(share))]


def behead(path: str, packets: str) -> bytes:
    """A transport stream without so many of its first packets of 188 bytes."""
    return Path(path).read_bytes()[188 * int(packets) :]


def lose(path: str, share: str) -> bytes:
    """A transport stream without one packet of 188 bytes, at that share of its length."""
    data = Path(path).read_bytes()
    at = int(len(data) // 188 * float(share)) * 188
    return data[:at] + data[at + 188 :]


def zero(path: str, share: str, count: str) -> bytes:
    """The file with so many zero bytes at that share of its length."""
    data = bytearray(Path(path).read_bytes())
    at = int(len(data) * float(share))
    data[at : at + int(count)] = bytes(len(data[at : at + int(count)]))
    return bytes(data)


def flip(path: str, seed: str, count: str) -> bytes:
    """The file with so many bytes changed, behind its first tenth."""
    data, draw = bytearray(Path(path).read_bytes()), random.Random(int(seed))
    for _ in range(int(count)):
        data[draw.randrange(len(data) // 10, len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def append(path: str, what: str) -> bytes:
    """The file with bytes of somebody's own behind it."""
    tails = {
        "id3": b"TAG" + b"song" * 31 + b"x",
        "text": b"made by somebody's own recorder, 12:34\n",
        "xml": b'<?xml version="1.0"?><meta><title>a &amp; b</title></meta>',
        "zeros": bytes(100),
        "ones": b"\xff" * 77,
        "short": b"\0\1\2",
    }
    return Path(path).read_bytes() + tails[what]


def edit_list(path: str, spec: str) -> bytes:
    """An MP4 file with an edit list of these segments, START:LENGTH in seconds; START -1: a gap."""
    data = Path(path).read_bytes()
    edits = [tuple(float(number) for number in part.split(":")) for part in spec.split(",")]
    out = b""
    for kind, at, head, size in _boxes(data, 0, len(data)):
        if kind == b"moov":
            scale = next(
                int.from_bytes(data[p + h + 12 : p + h + 16], "big")
                for k, p, h, _ in _boxes(data, at + head, at + size)
                if k == b"mvhd"
            )
            body = _with_edits(data, at + head, at + size, edits, scale)
            out += struct.pack(">I", len(body) + 8) + kind + body
        else:
            out += data[at : at + size]
    return out


def _with_edits(data: bytes, at: int, end: int, edits: list[tuple[float, ...]], movie_scale: int) -> bytes:
    out = b""
    for kind, start, head, size in _boxes(data, at, end):
        body = data[start + head : start + size]
        if kind == b"trak":
            inner = list(_boxes(data, start + head, start + size))
            media = next((p + h, p + n) for k, p, h, n in inner if k == b"mdia")
            scale = next(
                int.from_bytes(data[p + h + 12 : p + h + 16], "big")
                for k, p, h, _ in _boxes(data, *media)
                if k == b"mdhd"
            )
            entries = b"".join(
                struct.pack(
                    ">IiHH", round(length * movie_scale), -1 if from_s < 0 else round(from_s * scale), 1, 0
                )
                for from_s, length in edits
            )
            listed = b"elst" + struct.pack(">II", 0, len(edits)) + entries
            listed = b"edts" + struct.pack(">I", len(listed) + 4) + listed
            listed = struct.pack(">I", len(listed) + 4) + listed
            body = b""
            for k, p, _, n in inner:
                if k != b"edts":
                    body += data[p : p + n]
                if k == b"tkhd":
                    body += listed
        out += struct.pack(">I", len(body) + 8) + kind + body
    return out


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """(type, place, length of the header, length) of each box."""
    while at + 8 <= end:
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or end - at
        yield data[at + 4 : at + 8], at, head, size
        at += size


def _written(suffix: str, write: Callable[[Path], object]) -> bytes:
    """What ``write`` writes into a file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"out.{suffix}"
        write(out)
        return out.read_bytes()


EDITS = {
    edit.__name__: edit
    for edit in (
        cat,
        cat_clocks,
        concat_list,
        truncate,
        behead,
        lose,
        zero,
        flip,
        append,
        edit_list,
        fields,
        vfw,
        clap,
        lose_fragments,
    )
}

if __name__ == "__main__":
    name, *arguments, output = sys.argv[1:]
    Path(output).write_bytes(EDITS[name](*arguments))
