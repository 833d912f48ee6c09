"""Two recordings, coded differently and joined by copying: vbench gives FFmpeg's frames, or refuses the file.

Containers keep the first recording's parameter sets and lose the second's. Its pictures then refer to sets
with other contents, or to none.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, note, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.video.differential.drawing import CONTAINERS, NOISE, X265, pick
from tests.video.differential.plain import decoder_times, plain_pass, rises, shows_parts
from tests.video.differential.recipes import CannotBeMadeError, Clip, Step, Workshop
from tests.video.differential.service_path import ALL, Answer, Service, Way
from tests.video.differential.test_differential import EXAMPLES, ways

COPY = "-f concat -safe 0 -i {0} -c copy -fflags +bitexact"
SOURCE = f"-f lavfi -i testsrc2=size={{size}}:rate=24:duration={{seconds}},{NOISE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two recordings and the file that contains both."""

    parts: tuple[Step, Step]
    suffix: str

    @property
    def step(self) -> Step:
        """Makes the file."""
        listed = Step(tool="concat_list", arguments="{0} {1}", suffix="txt", inputs=self.parts)
        return Step(tool="ffmpeg", arguments=COPY, suffix=self.suffix, inputs=(listed,))


def _recording(coder: str, size: str = "96x64", seconds: str = "1") -> Step:
    arguments = f"{SOURCE.format(size=size, seconds=seconds)} {coder} -fflags +bitexact"
    return Step(tool="ffmpeg", arguments=arguments, suffix="mkv")


def _h264(draw: DrawFn) -> str:
    options = {
        "keyint": pick(draw, "12", "24", "6", "250"),
        "open-gop": pick(draw, "0", "1"),
        "scenecut": "0",
        "cabac": pick(draw, "1", "0"),
        "8x8dct": pick(draw, "1", "0"),
        "ref": pick(draw, "1", "3", "8"),
        "weightp": pick(draw, "0", "2"),
        "slices": pick(draw, "1", "3"),
        "sps-id": pick(draw, "0", "0", "1"),
        "interlaced": pick(draw, "0", "0", "1"),
        "repeat-headers": pick(draw, "0", "0", "1"),
        "bframes": pick(draw, "2", "0", "5"),
    }
    pixels = pick(draw, "yuv420p", "yuv420p", "yuv444p", "yuv422p", "yuv420p10le")
    given = ":".join(f"{name}={value}" for name, value in options.items())
    rate = f"-qp {pick(draw, '28', '15', '40')} -preset {pick(draw, 'veryfast', 'medium')}"
    return f"-c:v libx264 -threads 1 {rate} -pix_fmt {pixels} -x264-params {given}"


def _hevc(draw: DrawFn) -> str:
    options = {
        "keyint": pick(draw, "12", "24", "6", "250", "1"),
        "open-gop": pick(draw, "1", "0"),
        "scenecut": "0",
        "bframes": pick(draw, "3", "0"),
        "ctu": pick(draw, "64", "32", "16"),
        "min-cu-size": pick(draw, "8", "16"),
        "tu-intra-depth": pick(draw, "1", "3"),
        "tu-inter-depth": pick(draw, "1", "3"),
        "amp": pick(draw, "0", "1"),
        "rect": pick(draw, "0", "1"),
        "sao": pick(draw, "1", "0"),
        "wpp": pick(draw, "1", "0"),
        "signhide": pick(draw, "1", "0"),
        "tskip": pick(draw, "0", "1"),
        "weightp": pick(draw, "0", "1"),
        "repeat-headers": pick(draw, "0", "0", "1"),
        "qp": pick(draw, "28", "15", "40"),
    }
    pixels = pick(draw, "yuv420p", "yuv420p", "yuv444p", "yuv422p", "yuv420p10le")
    given = ":".join(f"{name}={value}" for name, value in options.items())
    return f"-c:v libx265 -preset ultrafast -pix_fmt {pixels} -x265-params {X265}:{given}"


def _vp9(draw: DrawFn) -> str:
    pixels = pick(draw, "yuv420p", "yuv420p", "yuv444p", "yuv420p10le")
    options = f"-auto-alt-ref {pick(draw, '0', '1')} -lag-in-frames {pick(draw, '0', '10')}"
    options += f" -g {pick(draw, '12', '6', '100')} -error-resilient {pick(draw, '0', '1')}"
    return f"-c:v libvpx-vp9 -deadline realtime -cpu-used -8 -b:v 300k {options} -pix_fmt {pixels}"


def _av1(draw: DrawFn) -> str:
    pixels = pick(draw, "yuv420p", "yuv420p", "yuv420p10le")
    return (
        f"-c:v libsvtav1 -preset 12 -g {pick(draw, '12', '5', '100')} -svtav1-params lp=1 -pix_fmt {pixels}"
    )


CODERS = {"hevc": _hevc, "h264": _h264, "vp9": _vp9, "av1": _av1}


@st.composite
def joined(draw: DrawFn) -> Joined:
    """Two recordings of one codec; of one size in most cases."""
    codec = pick(draw, "hevc", "hevc", "hevc", "h264", "h264", "vp9", "av1")
    first = pick(draw, "96x64", "130x74", "256x144")
    second = pick(draw, first, first, first, "96x64", "130x74")
    coder = CODERS[codec]
    parts = (
        _recording(coder(draw), first, pick(draw, "1", "0.5", "2")),
        _recording(coder(draw), second, pick(draw, "1", "0.5", "2")),
    )
    return Joined(parts=parts, suffix=pick(draw, *CONTAINERS[codec]))


def _fault(both: Joined, path: Path, answer: Answer, way: Way, shop: Workshop) -> str | None:
    plain = plain_pass(path)
    if answer.refusal is not None:
        formats = {step.arguments.partition("-pix_fmt ")[2].split()[0] for step in both.parts}
        is_true = plain.error or plain.faults or not rises(decoder_times(path)) or len(formats) > 1
        parts = [plain_pass(shop(step)) for step in both.parts]
        is_true = is_true or len(plain.sizes) > 1 or not shows_parts(plain, parts)
        return None if is_true else f"false refusal: {answer.refusal}"
    if plain.error:
        return f"FFmpeg refuses it, vbench answers: {plain.error}" if way.reads_all else None
    if answer.frames == plain.sampled(way.fps):
        return None
    wrong = set(plain.sampled(way.fps)) ^ set(answer.frames)
    return f"other frames: pts {sorted({pts for pts, _ in wrong})[:9]}, FFmpeg says {plain.faults[:3]}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("joined"))


@pytest.fixture(scope="module")
def ask() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def _x265(pixels: str) -> str:
    options = f"{X265}:keyint=12:scenecut=0:bframes=3:open-gop=1"
    return f"-c:v libx265 -preset ultrafast -pix_fmt {pixels} -x265-params {options}"


EACH = Way(fps=ALL, chunk_s=Fraction(1, 2), prune=False)
WIDE = _recording(_x265("yuv444p"))
NARROW = _recording(_x265("yuv420p"))
X264 = "-c:v libx264 -threads 1 -preset veryfast -pix_fmt yuv444p -qp"
IN_ORDER = _recording(
    f"{X264} 40 -x264-params keyint=24:open-gop=1:cabac=0:8x8dct=0:interlaced=1:repeat-headers=1:bframes=0"
)
REORDERED = _recording(f"{X264} 15 -x264-params keyint=250:slices=3:bframes=2")
"""After ``IN_ORDER``, FFmpeg's decoder still expects pictures in order and loses most of these."""


@settings(max_examples=max(1, EXAMPLES // 8))
@given(both=joined(), way=ways())
@example(both=Joined(parts=(WIDE, NARROW), suffix="mp4"), way=EACH)
@example(both=Joined(parts=(NARROW, WIDE), suffix="mp4"), way=EACH)
@example(
    both=Joined(parts=(IN_ORDER, REORDERED), suffix="mkv"),
    way=Way(fps=Fraction(3), chunk_s=Fraction(7, 10), prune=True),
)
def test_frames_are_ffmpegs_or_the_file_is_refused(
    both: Joined, way: Way, ask: Service, shop: Workshop
) -> None:
    try:
        path = shop(both.step)
    except CannotBeMadeError:
        return
    note(f"{Clip(step=both.step, kinds=frozenset()).script()}\n# {way}")
    assert _fault(both, path, ask(path, way), way, shop) is None
