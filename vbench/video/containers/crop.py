"""Reads how a container crops pictures: MP4's clean aperture, Matroska's pixel crop."""

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vbench.video.containers.ebml import HEADER_BYTES, element_at
from vbench.video.containers.mp4_boxes import MAX_HEADER_BYTES, boxes, descend, movie_header, track_id
from vbench.video.errors import VideoError

NO_CROP = (0, 0, 0, 0)
Crop = tuple[int, int, int, int]
"""Pixels cropped at the left, top, right and bottom of a decoded picture, before rotation."""

_EBML, _SEGMENT, _TRACKS, _CLUSTER = (
    b"\x1a\x45\xdf\xa3",
    b"\x18\x53\x80\x67",
    b"\x16\x54\xae\x6b",
    b"\x1f\x43\xb6\x75",
)
_ENTRY, _TYPE, _VIDEO = b"\xae", b"\x83", b"\xe0"
_PIXEL_CROPS = (b"\x54\xcc", b"\x54\xbb", b"\x54\xdd", b"\x54\xaa")
"""Element ids of Matroska (RFC 9559); the crops are left, top, right and bottom."""
_STREAM_TYPES = (1, 2, 17)
"""Video, audio, subtitles: the track types that become streams in FFmpeg."""
_SAMPLE_ENTRY_BYTES = 78
"""Size of a VisualSampleEntry up to its boxes (ISO/IEC 14496-12, 12.1.3)."""
_SIZE_AT = 24
"""Offset of its width and height, two bytes each."""


def container_crop(path: Path, *, stream_index: int, stream_id: int, width: int, height: int) -> Crop:
    """How the container of ``path`` crops the pictures of a video stream.

    Args:
        path: the file.
        stream_index: number of the stream in its file.
        stream_id: in MP4, the track's id.
        width: of the decoded pictures before cropping, in pixels.
        height: likewise.

    Raises:
        VideoError: nothing is left.
    """
    with path.open("rb") as file:
        head = file.read(8)
        size = os.fstat(file.fileno()).st_size
        if head[:4] == _EBML:
            crop = _matroska_crop(_tracks(file.fileno(), size), stream_index)
        elif len(head) == 8:
            crop = _clean_aperture(movie_header(file.fileno(), size), stream_id)
        else:
            crop = NO_CROP
    left, top, right, bottom = crop
    if left + right >= width or top + bottom >= height:
        raise VideoError(
            f"{path} cannot be displayed: its container crops away {left} + {right} of {width} pixels in "
            f"width and {top} + {bottom} of {height} in height"
        )
    return crop


def _clean_aperture(movie: bytes, track: int) -> Crop:
    """The crop of ``clap`` (ISO/IEC 14496-12, 12.1.4). Of several boxes, FFmpeg uses the last that crops the
    picture, whichever sample entry it is in."""
    crop = NO_CROP
    for kind, start, end in boxes(movie):
        if kind != b"trak" or track_id(movie, start, end) != track:
            continue
        table = descend(movie, start, end, b"mdia", b"minf", b"stbl", b"stsd")
        if table is None:
            return NO_CROP
        for _, entry, entry_end in boxes(movie, table[0] + 8, table[1]):
            size = movie[entry + _SIZE_AT : entry + _SIZE_AT + 4]
            width, height = int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
            for name, at, until in boxes(movie, entry + _SAMPLE_ENTRY_BYTES, entry_end):
                if name == b"clap":
                    crop = _aperture(movie[at:until], width, height) or crop
        return crop
    return NO_CROP


def _aperture(clap: bytes, width: int, height: int) -> Crop | None:
    """A box's crop in whole pixels, rounded as in FFmpeg; None if it crops nothing or is invalid.

    The picture size is that of the sample entry, whatever the bitstream says. FFmpeg ignores a box with
    negative numbers, with an aperture that is not inside the picture, or that leaves nothing.
    """
    numbers = [int.from_bytes(clap[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    if len(clap) < 32 or any(below <= 0 for below in numbers[1::2]) or min(numbers[0], numbers[2]) < 0:
        return None
    across, down, right_by, down_by = (
        Fraction(above, below) for above, below in zip(numbers[::2], numbers[1::2], strict=True)
    )
    center_x, center_y = Fraction(width - 1, 2) + right_by, Fraction(height - 1, 2) + down_by
    left, top = center_x - (across - 1) / 2, center_y - (down - 1) / 2
    right, bottom = width - 1 - (center_x + (across - 1) / 2), height - 1 - (center_y + (down - 1) / 2)
    if min(left, top, right, bottom) < 0:
        return None
    crop = math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
    if crop == NO_CROP or crop[0] + crop[2] >= width or crop[1] + crop[3] >= height:
        return None
    return crop


def _tracks(descriptor: int, size: int) -> bytes:
    """The content of Matroska's ``Tracks`` element; empty if there is none before the first cluster."""
    at = 0
    while at < size:
        element = element_at(os.pread(descriptor, HEADER_BYTES, at), 0)
        if element is None:
            return b""
        kind, start, length = element
        if kind == _TRACKS:
            return os.pread(descriptor, min(length or 0, MAX_HEADER_BYTES), at + start)
        if kind == _CLUSTER or (length is None and kind != _SEGMENT):
            return b""
        at += start if kind == _SEGMENT else start + (length or 0)
    return b""


def _matroska_crop(tracks: bytes, stream_index: int) -> Crop:
    streams = 0
    for kind, start, end in _elements(tracks, 0, len(tracks)):
        if kind != _ENTRY:
            continue
        fields = {field: tracks[a:b] for field, a, b in _elements(tracks, start, end)}
        if int.from_bytes(fields.get(_TYPE, b""), "big") not in _STREAM_TYPES:
            continue
        if streams == stream_index:
            video = fields.get(_VIDEO, b"")
            sizes = {
                field: int.from_bytes(video[a:b], "big") for field, a, b in _elements(video, 0, len(video))
            }
            left, top, right, bottom = (sizes.get(field, 0) for field in _PIXEL_CROPS)
            return left, top, right, bottom
        streams += 1
    return NO_CROP


def _elements(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Id, start and end of the content of each EBML element (RFC 8794)."""
    at = start
    while at < end:
        element = element_at(data, at)
        if element is None or element[2] is None:
            return
        kind, begin, length = element
        yield kind, begin, min(begin + (length or 0), end)
        at = begin + (length or 0)
