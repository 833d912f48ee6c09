"""Draws clips whose headers no encoder or muxer at hand writes: fields, times as in AVI, clean apertures."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.video.differential.drawing import CONTAINERS, H264_CONTAINERS, NOISE, SIZES, encoded, pick
from tests.video.differential.recipes import Clip, Step
from tests.video.support.fields import RATE, half_coder
from tests.video.support.fragment_edits import SEPARATE


def _fields(draw: DrawFn, kinds: set[str]) -> Step:
    """H.264 in MP4, Matroska or MPEG-TS whose frames are coded as two fields each (PAFF)."""
    gop, size, seconds = pick(draw, "12", "6", "1"), pick(draw, "160x48", "96x32"), pick(draw, "1", "2")
    pictures = f"testsrc2=size={size}:rate={2 * RATE}:duration={seconds},{NOISE}"
    halves = Step(tool="ffmpeg", arguments=f"-f lavfi -i {pictures} {half_coder(int(gop))}", suffix="mp4")
    container = pick(draw, *H264_CONTAINERS)
    packing = pick(draw, "together", "apart", "apart_without_times")
    kinds |= {"h264", "fields"} | ({"ts"} if container == "ts" else set())
    return Step(
        tool="fields", arguments=f"{{0}} {packing} {gop} {container}", suffix=container, inputs=(halves,)
    )


def _from_avi(draw: DrawFn, kinds: set[str]) -> Step:
    """H.264 that kept the times of AVI: decoding times alone."""
    kinds |= {"h264", "from AVI"}
    size = pick(draw, *SIZES)
    coded = encoded(draw, "h264", size, kinds)
    if pick(draw, "VFW", "remuxed") == "VFW":
        return Step(tool="vfw", arguments=f"{{0}} {size}", suffix="mkv", inputs=(coded,))
    to_avi = "-i {0} -c copy -bsf:v h264_mp4toannexb -fflags +bitexact"
    avi = Step(tool="ffmpeg", arguments=to_avi, suffix="avi", inputs=(coded,))
    return Step(
        tool="ffmpeg",
        arguments="-i {0} -c copy -fflags +bitexact",
        suffix=pick(draw, *H264_CONTAINERS),
        inputs=(avi,),
    )


def _clean_aperture(draw: DrawFn, kinds: set[str]) -> Step:
    """A clip of which the container shows a part alone."""
    codec = pick(draw, "h264", "hevc", "av1", "vp9")
    kinds |= {codec, "clean aperture"}
    width, height = pick(draw, "64 48", "50 40", "61 47").split()
    right, down = pick(draw, "0 0", "-6 4", "3 -2").split()
    coded = encoded(draw, codec, pick(draw, "96x64", "130x74", "97x65"), kinds)
    plain = Step(tool="ffmpeg", arguments="-i {0} -c copy -fflags +bitexact", suffix="mp4", inputs=(coded,))
    cropped = Step(
        tool="clap", arguments=f"{{0}} {width} {height} {right} {down}", suffix="mp4", inputs=(plain,)
    )
    container = pick(draw, *CONTAINERS[codec])
    if container == "mp4":
        return cropped
    copy = "-i {0} -c copy -fflags +bitexact"
    return Step(tool="ffmpeg", arguments=copy, suffix=container, inputs=(cropped,))


def _fragments(draw: DrawFn, kinds: set[str]) -> Step:
    """A fragmented MP4 file that has lost its sound, and was timed with rounded durations."""
    codec = pick(draw, "h264", "hevc", "vp9", "av1")
    kinds |= {codec, "fragmented"}
    coded = encoded(draw, codec, pick(draw, *SIZES), kinds)
    sound = f"-i {{0}} -f lavfi -i sine=duration=2 -map 0:v -map 1:a -c:v copy -c:a aac {SEPARATE}"
    both = Step(tool="ffmpeg", arguments=f"{sound} -fflags +bitexact", suffix="mp4", inputs=(coded,))
    late = pick(draw, "1", "0", "2")
    return Step(tool="lose_fragments", arguments=f"{{0}} 1 {late}", suffix="mp4", inputs=(both,))


@st.composite
def rewritten_clips(draw: DrawFn) -> Clip:
    """One stream, with headers that other tools write."""
    kinds: set[str] = set()
    make = draw(st.sampled_from([_fields, _from_avi, _clean_aperture, _fragments]))
    return Clip(step=make(draw, kinds), kinds=frozenset(kinds))
