"""A chunk decodes with the state that one pass over the whole file would have at that point."""

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.video.support.clips import run_ffmpeg, source
from tests.video.support.joins import in_band_sets, join, packets_of
from tests.video.support.mp4_edits import Movie, own_boxes, with_boxes
from tests.video.support.oracle import ALL, found, truth
from vbench.video.codecs.av1_obu import sequence_header_obu, sequence_headers
from vbench.video.codecs.bits import escaped
from vbench.video.codecs.packet_reader import PacketReader
from vbench.video.codecs.state_units import StateUnit, state_units
from vbench.video.errors import VideoError
from vbench.video.frames import decode_chunk
from vbench.video.index.decoder_state import ActiveState
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

SCENE = source(seconds=2, rate="24", size="96x64")
OPEN_GOP = "keyint=12:open-gop=1:scenecut=0:weightp=0:8x8dct=0"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Gives the path of a short clip coded in one of two ways that differ in their parameter sets."""
    folder = tmp_path_factory.mktemp("recordings")
    codecs = {
        "cavlc": f"-c:v libx264 -preset fast -threads 1 -bf 3 -x264-params {OPEN_GOP}:cabac=0 -qp",
        "cabac": f"-c:v libx264 -preset fast -threads 1 -bf 3 -x264-params {OPEN_GOP}:cabac=1 -qp",
        "hevc": "-c:v libx265 -preset ultrafast -x265-params "
        "log-level=error:pools=1:keyint=12:open-gop=1:scenecut=0:bframes=3:qp",
    }

    def make(codec: str, quality: str) -> Path:
        path = folder / f"{codec}_{quality}.mp4"
        if not path.exists():
            command = f"{SCENE} {codecs[codec]}"
            words = f"{command}={quality}" if codec == "hevc" else f"{command} {quality}"
            run_ffmpeg(*words.split(), str(path))
        return path

    return make


def chunked(path: Path, fps: Fraction = ALL, chunk_s: Fraction = Fraction(1, 2)) -> list[tuple[int, str]]:
    """(pts, md5) of the frames that the service's path gives, pruned."""
    with Splitter(path, fps=fps, chunk_s=chunk_s, prune=True) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        return found([decode_chunk(chunk, geometry, threads=1, timeout_s=60) for chunk in splitter])


def assert_exact(path: Path) -> None:
    """Each frame, and each of few frames (much is pruned), is that of one pass of FFmpeg.

    Sets change within the chunk of 3 s, and between chunks of half a second.
    """
    known = truth(path)
    assert chunked(path) == known.expected(ALL)
    assert chunked(path, fps=Fraction(4), chunk_s=Fraction(3)) == known.expected(Fraction(4))


@pytest.mark.parametrize(
    ("codec", "suffix"), [("cavlc", "mp4"), ("cavlc", "mkv"), ("cavlc", "ts"), ("cabac", "mp4")]
)
def test_sets_that_change_once_and_are_not_repeated_hold_for_all_later_chunks(
    codec: str, suffix: str, recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    parts = [recording(codec, "26"), recording(codec, "40")]
    (tmp_path / "list.txt").write_text("".join(f"file {part}\n" for part in parts))
    joined = tmp_path / f"joined.{suffix}"
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(tmp_path / "list.txt"), "-c", "copy", str(joined))
    assert_exact(joined)


def described(first: Path, second: Path, out: Path) -> Path:
    """The first 24 packets of one clip and the last 24 of another, each with its own description."""
    movie, other = Movie(first), Movie(second)
    movie.put_samples(
        movie.samples()[:24] + other.samples()[24:],
        per_chunk=24,
        descriptions=[1, 2],
    )
    movie.describe(movie.entry(), other.entry())
    return movie.write(out)


@pytest.mark.parametrize(
    ("codec", "qualities"),
    [("cavlc", ("26", "40")), ("cavlc", ("26", "26")), ("cabac", ("26", "40")), ("hevc", ("26", "26"))],
)
def test_sets_of_another_sample_description_reach_every_chunk(
    codec: str, qualities: tuple[str, str], recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    first, second = (recording(codec, quality) for quality in qualities)
    assert_exact(described(first, second, tmp_path / "described.mp4"))


def test_a_description_that_holds_from_the_first_sample_on_is_read(
    recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    movie, other = Movie(recording("cavlc", "40")), Movie(recording("cavlc", "26"))
    movie.put_samples(movie.samples(), per_chunk=48, descriptions=[2])
    movie.describe(other.entry(), movie.entry())
    path = movie.write(tmp_path / "second.mp4")

    assert truth(path).expected(ALL) == truth(recording("cavlc", "40")).expected(ALL)
    assert_exact(path)


def test_a_description_with_other_lengths_is_refused(
    recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    path = recording("cavlc", "26")
    movie = Movie(path)
    boxes = own_boxes(movie.entry())
    shorter = [
        (kind, content[:4] + b"\xfd" + content[5:] if kind == b"avcC" else content) for kind, content in boxes
    ]
    movie.put_samples(movie.samples(), per_chunk=24, descriptions=[1, 2])
    movie.describe(movie.entry(), with_boxes(movie.entry(), shorter))
    path = movie.write(tmp_path / "lengths.mp4")

    with pytest.raises(VideoError) as error:
        chunked(path)
    assert f"{path} changes the size of its NAL unit lengths from 4 to 2 bytes at packet 25 (PTS" in str(
        error.value
    )
    assert f"re-encode it: ffmpeg -i {path} -c:v libx264 fixed.mp4" in str(error.value)


@pytest.mark.parametrize("place", ["before the picture", "behind a pruned picture"])
@pytest.mark.parametrize("codec", ["cavlc", "hevc"])
def test_sets_are_found_wherever_they_stand(
    codec: str, place: str, recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    first, second = recording(codec, "26"), recording(codec, "40")
    sets, count = in_band_sets(second), len(packets_of(first))

    def edit(number: int, data: bytes) -> bytes | list[bytes]:
        if place == "behind a pruned picture" and number == count - 1:
            return data + sets
        if number == count:
            return sets + data if place == "before the picture" else data
        return data

    joined = join(first, second, tmp_path / "joined.mp4", edit)
    assert_exact(joined)


@pytest.mark.parametrize("codec", ["cavlc", "hevc"])
def test_sets_in_a_packet_of_their_own_are_no_frame_and_not_lost(
    codec: str, recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """FFmpeg shows the same frames as of sets before the picture, and complains about the packet."""
    first, second = recording(codec, "26"), recording(codec, "40")
    sets, count = in_band_sets(second), len(packets_of(first))
    joined = join(
        first, second, tmp_path / "joined.mp4", lambda number, data: sets + data if number == count else data
    )
    apart = join(
        first, second, tmp_path / "apart.mp4", lambda number, data: [sets, data] if number == count else data
    )
    assert chunked(apart) == truth(joined).expected(ALL)
    assert chunked(apart, fps=Fraction(4), chunk_s=Fraction(3)) == truth(joined).expected(Fraction(4))


def test_the_build_of_x264_that_coded_a_stream_is_known_in_every_chunk(tmp_path: Path) -> None:
    """FFmpeg predicts B pictures of builds up to 33 in another way; only the first packet names the build."""
    clip = tmp_path / "new.mp4"
    still = "-f lavfi -i testsrc2=size=320x240:rate=24:duration=2"
    params = "keyint=12:scenecut=0:b-pyramid=2:b-adapt=0:ref=4:direct=spatial:8x8dct=0"
    run_ffmpeg(
        *f"{still} -c:v libx264 -preset slow -threads 1 -bf 7 -x264-params {params}".split(), str(clip)
    )
    build = packets_of(clip)[0].partition(b"x264 - core ")[2][:3]
    assert build.isdigit()

    def age(_: int, data: bytes) -> bytes:
        return data.replace(b"x264 - core " + build, b"x264 - core 033")

    old = join(clip, None, tmp_path / "old.mp4", age)
    # Not only the first chunk decodes in another way, so the others need to know as well.
    assert set(truth(old).expected(ALL)[24:]) - set(truth(clip).expected(ALL)[24:])
    assert_exact(old)


def test_a_sequence_header_of_av1_that_keyframes_do_not_repeat_is_known_in_every_chunk(
    tmp_path: Path,
) -> None:
    clip = tmp_path / "clip.mkv"
    run_ffmpeg(
        *f"{SCENE} -c:v libsvtav1 -preset 11 -g 12 -svtav1-params film-grain=10".split(),
        str(clip),
    )
    first = packets_of(clip)[0]
    header = sequence_header_obu(next(sequence_headers(first)))
    assert header in first

    bare = join(
        clip, None, tmp_path / "bare.mkv", lambda number, data: data.replace(header, b"") if number else data
    )
    assert sum(header in packet for packet in packets_of(bare)) == 1
    assert_exact(bare)


def film_grain(codec: str, *, lasting: bool) -> bytes:
    """A film grain SEI message (ITU-T H.274), as it stands in a packet."""
    bits = "0000000010100" + f"{0:08b}{2:03b}{0:08b}{255:08b}"  # one component, one interval
    bits += "000000010110101000010000000010000"  # se(v): scale 90, frequencies 8
    bits += ("010" if lasting else "1") if codec == "h264" else str(int(lasting))
    bits += "1" + "0" * (-(len(bits) + 1) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    header = b"\x06" if codec == "h264" else bytes([39 << 1, 1])
    unit = header + escaped(bytes([19, len(payload)]) + payload + b"\x80")
    return len(unit).to_bytes(4, "big") + unit


@pytest.mark.parametrize(
    ("codec", "lasting", "pictures"), [("cavlc", True, 1), ("hevc", True, 40), ("hevc", False, 1)]
)
def test_film_grain_is_added_to_the_pictures_that_one_pass_adds_it_to(
    codec: str, lasting: bool, pictures: int, recording: Callable[[str, str], Path], tmp_path: Path
) -> None:
    clip = recording(codec, "26")
    message = film_grain("hevc" if codec == "hevc" else "h264", lasting=lasting)
    path = join(
        clip, None, tmp_path / "grain.mp4", lambda number, data: message + data if number == 5 else data
    )
    clean, grained = truth(clip).pixels, truth(path).pixels
    assert sum(clean[pts] != grained[pts] for pts in clean) >= pictures
    assert_exact(path)


def after_ends(codec_clip: Path, out: Path) -> Path:
    """The clip with an end of sequence, in a packet of its own, before each keyframe but the first."""
    reader = PacketReader(codec="hevc", length_bytes=4)
    end = reader.framed(bytes([36 << 1, 1]))

    def edit(number: int, data: bytes) -> bytes | list[bytes]:
        return [end, data] if number and reader.hevc_type(data) in range(16, 24) else data

    return join(codec_clip, None, out, edit)


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ("open-gop=0:bframes=3", False),
        ("open-gop=1:bframes=0", False),
        (
            "open-gop=1:bframes=3",
            True,
        ),  # decoders drop what waits to be shown, and what leads the next picture
    ],
)
def test_an_end_of_sequence_reaches_the_chunk_or_is_refused(
    options: str, refused: bool, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    params = f"log-level=error:pools=1:keyint=12:scenecut=0:{options}"
    run_ffmpeg(*f"{SCENE} -c:v libx265 -preset ultrafast -x265-params {params}".split(), str(clip))
    ended = after_ends(clip, tmp_path / "ended.mp4")
    if refused:
        with pytest.raises(VideoError, match=r"drops pictures before they are presented.* at 0\.500 s"):
            chunked(ended)
        return
    plain = [digest for _, digest in truth(clip).expected(ALL)]
    for chunk_s in (Fraction(1, 2), Fraction(2)):
        assert [digest for _, digest in chunked(ended, chunk_s=chunk_s)] == plain


def test_a_stream_whose_sets_never_change_travels_as_it_is(
    recording: Callable[[str, str], Path],
) -> None:
    with Splitter(recording("hevc", "26"), fps=ALL, chunk_s=Fraction(1)) as splitter:
        chunks = list(splitter)
        assert splitter._index.state.packets == []
    assert len(chunks) == 2


def sps(number: int, data: bytes) -> StateUnit:
    return StateUnit(key=("SPS", number), data=data)


def pps(number: int, data: bytes, of: int = 0) -> StateUnit:
    return StateUnit(key=("PPS", number), parent=("SPS", of), data=data)


@pytest.mark.parametrize(
    ("units", "kept"),
    [
        ([sps(0, b"a"), pps(0, b"x"), sps(0, b"a"), pps(0, b"x")], "ax"),  # repeats
        ([sps(0, b"a"), pps(0, b"x"), pps(0, b"y")], "ay"),
        ([sps(0, b"a"), pps(0, b"x"), sps(0, b"b")], "axb"),  # x was read with a
        ([sps(0, b"a"), pps(0, b"x"), sps(0, b"b"), pps(0, b"x")], "bx"),  # now with b
        ([sps(0, b"a"), sps(1, b"b"), pps(0, b"x", 0), pps(1, b"y", 1), sps(1, b"c")], "abxyc"),
        ([sps(0, b"a"), pps(0, b"x"), sps(0, b"b"), pps(1, b"y"), pps(0, b"z")], "byz"),
        ([sps(0, b"a"), pps(0, b"x"), pps(0, b"y", 1), sps(1, b"b")], "axb"),  # y arrived before b
    ],
)
def test_units_stay_as_long_as_one_in_force_was_read_with_them(units: list[StateUnit], kept: str) -> None:
    log = ActiveState(units)
    assert b"".join(unit.data for unit in log.units).decode() == kept


def test_a_unit_takes_as_long_to_note_however_many_are_in_force() -> None:
    """Those of 400 packets took 8 s of CPU time when each was compared with all before it."""
    log = ActiveState([sps(0, b"a")])
    began_s = time.process_time()
    for packet in range(400):
        for number in range(256):
            log.add(pps(number, b"%d" % packet))

    assert time.process_time() - began_s < 2
    assert len(log.units) == 257


@pytest.mark.parametrize("length_bytes", [0, 1, 2, 4])
def test_units_are_framed_as_the_streams_own(length_bytes: int) -> None:
    reader = PacketReader(codec="h264", length_bytes=length_bytes)
    units = [b"\x67\x42\x00\x1e", b"\x68\xce\x01"]
    packet = b"".join(reader.framed(unit) for unit in units)
    assert [unit.rstrip(b"\0") for _, unit in reader.units_of_types(packet, (7, 8))] == units


def test_a_unit_that_does_not_fit_the_streams_lengths_is_an_error() -> None:
    reader = PacketReader(codec="h264", length_bytes=1)
    assert reader.framed(bytes(255))[0] == 255
    with pytest.raises(VideoError, match="a parameter set of 256 bytes"):
        reader.framed(bytes(256))


def test_parameter_sets_of_ids_that_cannot_be_are_left_out() -> None:
    """Else a hostile file could make the list of sets in force as long as it likes."""
    reader = PacketReader(codec="h264", length_bytes=0)
    high = int("01" + "000000001" + "00000001" + "1" * 5, 2).to_bytes(3, "big")
    ok = b"\x68\xc0"  # ue(v) 0, ue(v) 0
    assert [unit.key for unit in state_units(reader, reader.framed(ok))] == [("PPS", 0)]
    assert list(state_units(reader, reader.framed(b"\x68\x00\x40" + high))) == []
