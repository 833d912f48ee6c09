"""What one plain pass of FFmpeg decodes without an error, vbench decodes to the same frames, or refuses.

A refusal must be a sentence that is true of the file. ``make test-differential EXAMPLES=500`` draws more
clips than the suite does. A failure prints the commands that make its clip.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.video.differential import drawing, rewritten
from tests.video.differential.plain import PlainPass, decoder_times, is_turned, plain_pass, rises, shows_parts
from tests.video.differential.recipes import CannotBeMadeError, Clip, Workshop
from tests.video.differential.service_path import ALL, Answer, Service, Way
from tests.video.support.clips import RECIPES, ClipStore

EXAMPLES = int(os.environ.get("VBENCH_DIFFERENTIAL_EXAMPLES", "48"))
"""Drawn clips in all; half of them plain ones."""

DAMAGE = (
    r"damaged|truncated|incomplete|cannot be decoded|cannot be opened|yielded \d+ of \d+ sampled frames|"
    r"more frames than the index|no keyframe|no picture|without pictures|without a PTS|"
    r"same timestamp|no video stream|cannot be read|changes its|too long|jump|missing|ends"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that FFmpeg decodes without an error and vbench refuses."""

    clip: Clip
    path: Path
    plain: PlainPass
    parts: tuple[PlainPass, ...]
    """Those of the recordings that were joined, each alone."""
    said: re.Match[str]
    """What of the refusal is to be judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueRefusal:
    """A sentence of vbench's, and when it is true of such a file."""

    sentence: str
    is_true: Callable[[Refused], bool]


TRUE_REFUSALS = (
    TrueRefusal(sentence=DAMAGE, is_true=lambda of: "damaged" in of.clip.kinds),
    TrueRefusal(sentence=r"changes (its|the) .*(size|pixels)", is_true=lambda of: len(of.plain.sizes) > 1),
    TrueRefusal(
        sentence=r"changes (its|the) .*(format|colou?r|coding parameters|bit depth)",
        is_true=lambda of: "format changes" in of.clip.kinds,
    ),
    TrueRefusal(
        sentence=r"two frames with the same timestamp|timestamps .*(back|overlap)",
        is_true=lambda of: not of.plain.rises or not rises(decoder_times(of.path)),
    ),
    TrueRefusal(
        sentence=r"without a PTS",
        is_true=lambda of: (
            "from AVI" in of.clip.kinds or ("negative" in of.clip.kinds and not of.plain.rises)
        ),
    ),
    TrueRefusal(
        sentence=r"another order than its pictures are presented in",
        is_true=lambda of: not rises(decoder_times(of.path)),
    ),
    # FFmpeg makes up times where those in the file do not fit the pictures' order.
    TrueRefusal(sentence=r"not coded as its index says", is_true=lambda of: not of.plain.rises),
    TrueRefusal(
        sentence=r"loses? (\d+) of its (\d+) pictures",
        is_true=lambda of: 0 < int(of.said[1]) == int(of.said[2]) - len(of.plain.frames),
    ),
    TrueRefusal(sentence=r"cannot decode completely", is_true=lambda of: not shows_parts(of.plain, of.parts)),
    TrueRefusal(
        sentence=r"starts in the middle of a coded sequence \(intra refresh\)",
        is_true=lambda of: "intra refresh" in of.clip.kinds and bool(of.clip.kinds & {"cut", "edit list"}),
    ),
)


def complaint(clip: Clip, path: Path, way: Way, ask: Service, shop: Workshop) -> str | None:
    """What is wrong with vbench's answer, or None."""
    if "turned in SEI" in clip.kinds and not is_turned(path):
        clip = replace(clip, turn="")  # not every muxer keeps the message
    plain = plain_pass(path, turn=clip.turn)
    if plain.error and "cat" in clip.kinds:  # FFmpeg calls joins corrupt, and goes on unless it is strict
        whole = plain_pass(path, turn=clip.turn, strict=False)
        plain = plain if whole.error or whole.faults else whole
    answer = ask(path, way)
    if _tells_nothing(clip, plain):
        return None
    if plain.error or not plain.frames:
        return _of_refused(clip, path, way, answer, shop)
    if answer.refusal is not None:
        for refusal in TRUE_REFUSALS:
            said = re.search(refusal.sentence, answer.refusal)
            if said is None:
                continue
            parts = tuple(plain_pass(shop(part)) for part in clip.parts)
            if refusal.is_true(Refused(clip=clip, path=path, plain=plain, parts=parts, said=said)):
                return None
        return f"false refusal: {answer.refusal}"
    difference = _difference(plain.sampled(way.fps), answer.frames)
    if difference and {"vp8", "damaged"} <= clip.kinds and not _is_steady(path, clip):
        return None  # FFmpeg's VP8 decoder shows what was in memory where a picture lacks a part
    return difference


def _is_steady(path: Path, clip: Clip) -> bool:
    """Whether FFmpeg shows the same in each of many passes."""
    first = plain_pass(path, turn=clip.turn)
    return all(plain_pass(path, turn=clip.turn) == first for _ in range(20))


def _tells_nothing(clip: Clip, plain: PlainPass) -> bool:
    """Whether FFmpeg shows what it could make of a picture that lacks something, and says so or not.

    So it is where its muxer has left the second size of joined streams out.
    """
    return bool(plain.faults and not plain.error) or ("size changes" in clip.kinds and len(plain.sizes) == 1)


def _of_refused(clip: Clip, path: Path, way: Way, answer: Answer, shop: Workshop) -> str | None:
    """Of a file that FFmpeg does not decode without an error, or of which it shows nothing."""
    if answer.refusal is not None or not answer.frames:
        return None
    concealed = plain_pass(path, turn=clip.turn, strict=False).sampled(way.fps)
    if way.reads_all and not clip.kinds & {"cat", "starts in mid-GOP", "behead", "edit list"}:
        return "FFmpeg refuses it, vbench answers"
    if answer.frames == concealed:
        return None
    if clip.whole and answer.frames == plain_pass(shop(clip.whole), turn=clip.turn).sampled(way.fps):
        return None  # the damage is in pictures that vbench need not decode
    return "FFmpeg refuses it, vbench answers with frames that are not those of the undamaged clip"


def _difference(expected: list[tuple[int, str]], frames: list[tuple[int, str]]) -> str | None:
    if frames == expected:
        return None
    times, right = [pts for pts, _ in frames], [pts for pts, _ in expected]
    if times != right:
        odd = sorted(set(times) ^ set(right))
        return f"{len(times)} frames instead of {len(right)}; times that one has alone: {odd[:9]}"
    wrong = [pts for (pts, picture), (_, other) in zip(frames, expected, strict=True) if picture != other]
    return f"other pixels in {len(wrong)} of {len(frames)} frames: pts {wrong[:9]}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def ask() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@st.composite
def ways(draw: st.DrawFn) -> Way:
    """All frames, each decoded; or a few, pruned."""
    chunk_s = draw(st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(3600), Fraction(7, 10)]))
    if draw(st.booleans()):
        return Way(fps=ALL, chunk_s=chunk_s, prune=False)
    fps = draw(st.sampled_from([Fraction(1), Fraction(3), Fraction(7, 2), Fraction(5), ALL]))
    return Way(fps=fps, chunk_s=chunk_s, prune=True)


def _check(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    try:
        path = shop(clip.step)
    except CannotBeMadeError:
        return  # FFmpeg does not make this combination
    note(f"{clip.script()}\n# kinds: {', '.join(sorted(clip.kinds))}\n# {way}")
    try:
        wrong = complaint(clip, path, way, ask, shop)
    except RuntimeError as error:
        wrong = str(error)
    assert wrong is None


@settings(max_examples=max(1, EXAMPLES // 2))
@given(clip=drawing.plain_clips(), way=ways())
def test_plain_clips(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    _check(clip, way, ask, shop)


@settings(max_examples=max(1, EXAMPLES // 8))
@given(clip=drawing.edited_clips(), way=ways())
def test_edit_lists(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    _check(clip, way, ask, shop)


@settings(max_examples=max(1, EXAMPLES // 8))
@given(clip=drawing.joined_clips(), way=ways())
def test_joined_streams(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    _check(clip, way, ask, shop)


@settings(max_examples=max(1, EXAMPLES // 8))
@given(clip=rewritten.rewritten_clips(), way=ways())
def test_rewritten_files(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    _check(clip, way, ask, shop)


@settings(max_examples=max(1, EXAMPLES // 4))
@given(clip=drawing.damaged_clips(), way=ways())
def test_damaged_and_extended_files(clip: Clip, way: Way, ask: Service, shop: Workshop) -> None:
    _check(clip, way, ask, shop)


TURNS = {
    "rotated_90": "transpose=clock",
    "rotated_180": "hflip,vflip",
    "rotated_270": "transpose=cclock",
    "mirrored": "hflip",
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_clips_of_the_other_tests(name: str, clip: ClipStore, ask: Service) -> None:
    plain = plain_pass(clip(name), turn=TURNS.get(name, ""))
    way = Way(fps=Fraction(7, 2), chunk_s=Fraction(1), prune=True)

    answer = ask(clip(name), way)

    assert plain.error is None
    assert answer.refusal is None
    assert _difference(plain.sampled(way.fps), answer.frames) is None


def test_a_wrong_frame_a_wrong_time_and_a_false_refusal_are_noticed(
    clip: ClipStore, shop: Workshop, tmp_path: Path
) -> None:
    """The comparison itself: each kind of fault, put into the answer."""
    path = clip("short")
    right = plain_pass(path).sampled(ALL)
    way = Way(fps=ALL, chunk_s=Fraction(1), prune=False)
    of = Clip(step=drawing.NOTHING, kinds=frozenset())

    def told(refusal: str | None, frames: list[tuple[int, str]]) -> str | None:
        fixed = Answer(refusal=refusal, frames=frames)
        return complaint(of, path, way, lambda *_: fixed, shop)  # type: ignore[arg-type]

    assert told(None, right) is None
    assert "other pixels in 1 of" in str(told(None, [(right[0][0], right[1][1]), *right[1:]]))
    assert "frames instead of" in str(told(None, right[1:]))
    assert "times that one has alone" in str(told(None, [(pts + 1, picture) for pts, picture in right]))
    assert "false refusal" in str(told("FILE is truncated", []))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    assert told(None, right) == "FFmpeg refuses it, vbench answers"
