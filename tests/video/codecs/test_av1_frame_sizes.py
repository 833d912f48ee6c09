"""AV1 frames that change their size within a sequence are told apart by their headers, and named."""

from pathlib import Path

import av
import pytest

from tests.video.support.as_ffmpeg import Make, assert_as_ffmpeg
from tests.video.support.clips import source
from tests.video.support.oracle import ALL, found, truth
from vbench.video.codecs.av1_frame_sizes import Av1FrameSizes
from vbench.video.codecs.av1_obu import configured_sequence_header
from vbench.video.cross_check.one_pass import plain_pass
from vbench.video.errors import VideoError, VideoTooLargeError
from vbench.video.probe import probe
from vbench.video.types import FrameGeometry, VideoLimits

AOM = "-c:v libaom-av1 -cpu-used 8 -usage good -b:v 50k -g 12 -aom-params"
SVT = "-c:v libsvtav1 -preset 10 -g 12 -svtav1-params lp=1"
ENCODERS = {
    "fixed sizes": f"{SVT}:resize-mode=1:resize-denom=12:resize-kf-denom=8",
    "sizes of earlier frames": f"{AOM} resize-mode=2 -lag-in-frames 19",
    "error resilience": f"{AOM} resize-mode=2:error-resilient=1 -lag-in-frames 0",
    "no order hints": f"{AOM} resize-mode=2:enable-order-hint=0",
    "a decoder model": f"{AOM} resize-mode=2:timing-info=model",
    "screen content": f"{AOM} resize-mode=2:tune-content=screen",
    "switch frames": f"{SVT}:sframe-dist=6:resize-mode=1:resize-denom=12:pred-struct=1",
    "super-resolution": f"{SVT}:superres-mode=1:superres-denom=13",
}


def resized(make: Make, name: str) -> Path:
    """24 frames of 160 x 96 at most."""
    return make(f"{name.replace(' ', '_')}.mp4", f"{source(1, '24', '160x96')} {ENCODERS[name]}")


def decoded_sizes(path: Path) -> list[tuple[int, int]]:
    """Width and height of each frame, as the decoder gives them."""
    with av.open(str(path)) as clip:
        return [(frame.width, frame.height) for frame in clip.decode(video=0)]


@pytest.mark.parametrize("name", ENCODERS)
def test_headers_say_how_large_each_frame_is(name: str, make: Make) -> None:
    path = resized(make, name)
    decoded = decoded_sizes(path)
    with av.open(str(path)) as clip:
        stream = clip.streams.video[0]
        sizes = Av1FrameSizes()
        sizes.add_sequence_header(configured_sequence_header(stream.codec_context.extradata) or b"")
        facts = [facts for packet in clip.demux(stream) for facts in sizes.shown_formats(bytes(packet))]

    assert [(each.width, each.height) for each in facts] == decoded
    assert (len(set(decoded)) > 1) == (name != "super-resolution")


@pytest.mark.parametrize("name", ["fixed sizes", "sizes of earlier frames"])
def test_a_size_that_changes_within_a_sequence_is_named_with_its_position(name: str, make: Make) -> None:
    path = resized(make, name)
    decoded = decoded_sizes(path)
    number = next(at for at, size in enumerate(decoded) if size != decoded[0])
    (width, height), (later_width, later_height) = decoded[0], decoded[number]

    with pytest.raises(
        VideoError,
        match=rf"changes its picture size from {width} x {height} to {later_width} x {later_height} "
        rf"at {number / 24:.3f} s \(frame {number}\)",
    ):
        probe(path)


def test_pictures_may_be_smaller_than_the_header_allows(make: Make) -> None:
    """With switch frames libsvtav1 announces pictures of 16384 x 8704."""
    switching = f"{SVT}:pred-struct=1:sframe-dist=6:sframe-mode=2 -g 100"
    path = make("switching.mp4", f"{source(1, '24', '96x64')} {switching}")
    info = probe(path)

    assert info.announced_pixels > VideoLimits().max_pixels
    assert (info.width, info.height) == (96, 64)
    assert_as_ffmpeg(path, 24)
    frames = plain_pass(path, fps=ALL, geometry=FrameGeometry.native(info), threads=1, timeout_s=60)
    assert found(list(frames)) == truth(path).expected(ALL)


@pytest.mark.parametrize("pixels", [96 * 64 - 1, 96 * 64])
def test_av1_pictures_are_bounded_by_the_size_that_they_have(pixels: int, make: Make) -> None:
    maximum = "forced-max-frame-width=160:forced-max-frame-height=96"
    path = make("smaller.mp4", f"{source(1, '24', '96x64')} {SVT}:{maximum}")
    limits = VideoLimits(max_pixels=pixels)

    if pixels == 96 * 64:
        assert probe(path, limits).announced_pixels == 160 * 96
    else:
        with pytest.raises(VideoTooLargeError, match=f"pictures of 96 x 64 pixels: {pixels} pixels"):
            probe(path, limits)


def test_a_damaged_header_counts_as_a_frame_of_the_sequence(make: Make) -> None:
    with av.open(str(resized(make, "fixed sizes"))) as clip:
        packets = [bytes(packet) for packet in clip.demux(video=0) if packet.size]
    sizes = Av1FrameSizes()
    known = [(facts.width, facts.height) for packet in packets[:2] for facts in sizes.shown_formats(packet)]
    cut = b"\x32\x01\x30"  # OBU_FRAME of one byte: an inter frame that is shown

    assert known == [(160, 96), (107, 64)]
    assert [(facts.width, facts.height) for facts in sizes.shown_formats(cut)] == [(160, 96)]
