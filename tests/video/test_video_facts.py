"""What holds for the first picture holds for all, or the video is refused with position and reason."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import pytest
from clips import RECIPES, ClipStore, run_ffmpeg, source
from joins import in_band_sets, join, packets_of
from oracle import one_chunk

from vbench.video.bitstream import PacketReader
from vbench.video.decoder_state import StateScan
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk
from vbench.video.picture import picture_facts
from vbench.video.probe import probe
from vbench.video.stream_facts import FactsScan
from vbench.video.types import FrameGeometry

ENCODERS = {
    "h264": ("mp4", "-c:v libx264 -preset ultrafast -threads 1 -bf 0 -g 12"),
    "hevc": (
        "mp4",
        "-c:v libx265 -preset ultrafast -x265-params log-level=error:pools=1:keyint=12:bframes=0",
    ),
    "vp8": ("webm", "-c:v libvpx -deadline realtime -cpu-used 8 -g 12"),
    "vp9": ("webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 12"),
    "av1": ("mkv", "-c:v libsvtav1 -preset 12 -g 12"),
}
FULL = "-color_range pc"
BT709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709"
Recording = Callable[..., Path]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Gives the path of a clip of 24 pictures, by codec, size and further options."""
    folder = tmp_path_factory.mktemp("recordings")

    def make(codec: str, size: str = "96x64", options: str = "") -> Path:
        suffix, encoder = ENCODERS[codec]
        path = folder / (re.sub(r"\W+", "_", f"{codec}_{size}_{options}") + f".{suffix}")
        if not path.exists():
            run_ffmpeg(*f"{source(1, '24', size)} {encoder} {options}".split(), str(path))
        return path

    return make


def joined(first: Path, second: Path, out: Path) -> Path:
    """``second`` after ``first``, as tools join recordings that write parameter sets in-band."""
    sets = in_band_sets(second) if second.suffix == ".mp4" else b""
    count = len(packets_of(first))
    return join(first, second, out, lambda number, data: sets + data if number == count else data)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_headers_say_what_the_decoder_finds(name: str, clip: ClipStore) -> None:
    with av.open(str(clip(name))) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context.codec.canonical_name
        extradata = stream.codec_context.extradata
        frame = next(container.decode(stream))
    reader = PacketReader.of(codec, extradata)
    state = StateScan(reader, extradata)
    facts = FactsScan(reader, state.changes.initial)
    for place, packet in enumerate(packets_of(clip(name))):
        facts.add(place, packet, state.add(packet), after_end=False)
    known = picture_facts(frame)
    assert facts.change(known) is None
    (_, said), *more = facts._seen
    assert not more
    assert facts._effective(said, known).change(known) is None


@pytest.mark.parametrize("codec", sorted(ENCODERS))
def test_a_size_that_changes_is_refused_with_its_position(
    codec: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording(codec), recording(codec, "64x96")
    path = joined(first, second, tmp_path / f"turned{first.suffix}")
    with pytest.raises(VideoError, match="changes its picture size from 96 x 64 to 64 x 96") as error:
        probe(path)
    assert re.search(r"at (0\.999|1\.000) s \(frame 24\)", str(error.value))


@pytest.mark.parametrize(
    ("codec", "before", "after", "reason"),
    [
        ("h264", "", "-pix_fmt yuv444p", "pixel format from 4:2:0 of 8 bits to 4:4:4 of 8 bits"),
        ("h264", "", BT709, "colour matrix from 2 to 1"),
        ("h264", BT709, f"{BT709} {FULL}", "colour range from limited to full"),
        ("hevc", "", "-pix_fmt yuv420p10le", "pixel format from 4:2:0 of 8 bits to 4:2:0 of 10 bits"),
        ("hevc", BT709, "", "colour matrix from 1 to none"),
        ("vp9", "", BT709, "colour matrix from 2 to 1"),
        ("vp9", "", "-pix_fmt yuv444p", "pixel format from 4:2:0 of 8 bits to 4:4:4 of 8 bits"),
        ("av1", "", "-pix_fmt yuv420p10le", "pixel format from 4:2:0 of 8 bits to 4:2:0 of 10 bits"),
        ("av1", f"{BT709}", f"{BT709} {FULL}", "colour range from limited to full"),
    ],
)
def test_a_format_that_changes_is_refused(
    codec: str, before: str, after: str, reason: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording(codec, options=before), recording(codec, options=after)
    with pytest.raises(VideoError, match=re.escape(f"changes its {reason}")):
        probe(joined(first, second, tmp_path / f"changed{first.suffix}"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BT709, ""),  # H.264 that says nothing leaves colours as they were
        ("", "-colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m"),  # what no word means
        (
            BT709,
            "-colorspace bt709 -color_primaries bt2020 -color_trc smpte2084",
        ),  # of which no pixel depends
    ],
)
def test_what_changes_no_pixel_is_no_change(
    before: str, after: str, recording: Recording, tmp_path: Path
) -> None:
    first, second = recording("h264", options=before), recording("h264", options=after)
    assert probe(joined(first, second, tmp_path / "same.mp4")).frames == 48


def test_an_orientation_that_changes_in_band_is_refused(recording: Recording, tmp_path: Path) -> None:
    clip = recording("h264")
    turned = tmp_path / "turned.mp4"
    run_ffmpeg("-i", str(clip), "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90",
               str(turned))  # fmt: skip
    assert probe(turned).rotation == 270
    with pytest.raises(VideoError, match=r"changes its orientation from 0 degrees to 90 degrees at 1\.0"):
        probe(joined(clip, turned, tmp_path / "both.mp4"))


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ({"coded_width": 64, "coded_height": 96}, "not of the size"),
        ({"coded_width": 95}, "not of the size"),
        ({"coded_height": 63}, "not of the size"),
        ({"pixel_format": "yuv420p10le"}, "not of the pixel format"),
        ({"pixel_format": "yuv422p"}, "not of the pixel format"),
        ({"color_matrix": "bt601"}, "not of the pixel format or colours"),
        ({"color_range": "pc"}, "not of the pixel format or colours"),
    ],
)
@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_the_decoder_fails_on_pictures_other_than_announced(
    codec: str, claim: dict[str, object], reason: str, recording: Recording
) -> None:
    """Whatever a check of headers may miss: FFmpeg must not scale or convert it silently."""
    chunk = one_chunk(recording(codec, options=f"{BT709} -color_range tv"))
    info = replace(chunk.info, **claim)
    with pytest.raises(VideoError, match=reason):
        decode_chunk(replace(chunk, info=info), FrameGeometry.native(info), threads=1, timeout_s=30)
