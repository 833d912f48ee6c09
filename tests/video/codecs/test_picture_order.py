"""Times that do not follow the order in which decoders hand pictures out are named as such."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.video.support.as_ffmpeg import Make, assert_as_ffmpeg
from tests.video.support.clips import ClipStore, run_ffmpeg, source
from tests.video.support.fields import BitCopy
from tests.video.support.joins import in_band_sets, join
from vbench.video.codecs.picture_order import PictureOrder, PictureOrderCount
from vbench.video.errors import VideoError
from vbench.video.probe import probe

X264 = "-c:v libx264 -preset fast -threads 1"
HEVC = (
    "-c:v libx265 -preset ultrafast "
    "-x265-params log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=2:open-gop=1:pools=1"
)
RASL_R = 9
END_OF_BITSTREAM = b"\0\0\0\x02\x4a\x01"


def retimed(path: Path, copy: Path, time: Callable[[int, int], int]) -> Path:
    """Write ``copy``: the packets of ``path`` at the milliseconds that ``time`` makes of place and time."""
    with av.open(str(path)) as whole, av.open(str(copy), "w") as target:
        stream = whole.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.time_base = stream.time_base
        for place, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            packet.pts, packet.dts = time(place, packet.pts or 0), place - 1000
            packet.stream = copied
            target.mux_one(packet)
    return copy


def times_of_a_decoder(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0) if frame.pts is not None]


@pytest.mark.parametrize(
    ("options", "time", "at_s"),
    [
        ("-bf 0", lambda place, ms: ms + {20: 42, 21: -42}.get(place, 0), r"0\.875"),
        ("-bf 2", lambda place, ms: ms - 70 * (place > 24), r"1\.000"),
        ("-bf 2", lambda place, ms: ms - 63 * (place == 25), r"1\.\d+"),
    ],
    ids=["two swapped", "earlier than the IDR picture", "among B pictures"],
)
def test_times_that_go_back_within_a_sequence_are_named(
    options: str, time: Callable[[int, int], int], at_s: str, make: Make, tmp_path: Path
) -> None:
    keyframes = "-x264-params keyint=12:min-keyint=12:scenecut=0:b-adapt=0"
    whole = make(f"sequence{options}.mkv", f"{source(2, '24', '96x64')} {X264} {options} {keyframes}")
    path = retimed(whole, tmp_path / "retimed.mkv", time)

    times = times_of_a_decoder(path)
    assert times != sorted(times)
    with pytest.raises(VideoError, match=rf"has timestamps that go back after {at_s} s"):
        probe(path)


def test_times_that_go_back_at_an_open_gop_are_named(clip: ClipStore, tmp_path: Path) -> None:
    parts = tmp_path / "parts.txt"
    cut = tmp_path / "cut.mkv"
    run_ffmpeg("-ss", "2.4", "-i", str(clip("open_gop_ts")), "-c", "copy", str(cut))
    parts.write_text(f"file '{clip('open_gop')}'\nfile '{cut}'\n")
    path = tmp_path / "spliced.mp4"
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(parts), "-c", "copy", str(path))

    times = times_of_a_decoder(path)
    assert times != sorted(times)
    with pytest.raises(VideoError, match="has timestamps that go back after"):
        probe(path)


def test_times_that_go_back_where_a_bitstream_ends_are_named(make: Make, tmp_path: Path) -> None:
    whole = make("ends.mp4", f"{source(2, '24', '96x64')} {HEVC}")
    path = join(
        whole,
        None,
        tmp_path / "ended.mp4",
        lambda _, data: data + END_OF_BITSTREAM * (data[4] >> 1 == RASL_R),
    )

    times = times_of_a_decoder(path)
    assert times != sorted(times)
    with pytest.raises(VideoError, match=r"has timestamps that go back after 0\.\d+ s"):
        probe(path)


def without_vui(path: Path, copy: Path) -> Path:
    """Write ``copy``: ``path`` with ``vui_parameters_present_flag`` 0, as much as follows it is left."""
    with av.open(str(path)) as container:
        extradata = container.streams.video[0].codec_context.extradata
    assert extradata is not None
    sps = extradata[8 : 8 + int.from_bytes(extradata[6:8], "big")]
    bits = BitCopy(sps)
    bits.copy(32)  # NAL header, profile (main), constraints, level
    for _ in range(5):  # id, frame_num's length, order count's type and length, reference frames
        bits.copy_unsigned()
    bits.copy(1)  # gaps_in_frame_num_value_allowed_flag
    bits.copy_unsigned()
    bits.copy_unsigned()
    bits.copy(3)  # frame_mbs_only_flag, direct_8x8_inference_flag, frame_cropping_flag
    bits.take(1)
    bits.written += "0"
    changed = bits.finish()
    assert len(changed) == len(sps)
    copy.write_bytes(path.read_bytes().replace(sps, changed))
    return copy


def test_pictures_that_decoders_lose_where_reordering_grows_are_named(make: Make, tmp_path: Path) -> None:
    main = f"{X264} -profile:v main -refs 4 -x264-params keyint=24:min-keyint=24:scenecut=0:b-adapt=0"
    still = make("no_b.mp4", f"{source(8, '24', '96x64')} {main}:bframes=0")
    pyramid = make("pyramid.mp4", f"{source(2, '24', '96x64')} {main}:bframes=5:b-pyramid=normal")
    parts = tmp_path / "parts.txt"
    copies = [without_vui(part, tmp_path / part.name) for part in (still, pyramid)]
    parts.write_text("".join(f"file '{copy}'\n" for copy in copies))
    path = tmp_path / "grows.ts"
    run_ffmpeg("-f", "concat", "-safe", "0", "-i", str(parts), "-c", "copy", str(path))

    lost = 240 - len(times_of_a_decoder(path))
    assert lost
    with pytest.raises(VideoError, match=rf"loses {lost} of its 240 pictures .* at 8\.\d+ s"):
        probe(path)
    assert_as_ffmpeg(copies[1], 48)


def test_a_packet_without_a_picture_is_no_reason_to_call_a_video_damaged(make: Make, tmp_path: Path) -> None:
    whole = make("no_b.mp4", f"{source(2, '24', '96x64')} {X264} -bf 0 -x264-params keyint=12:scenecut=0")
    sets = in_band_sets(whole)
    apart = join(
        whole, None, tmp_path / "apart.mkv", lambda number, data: [sets, data] if number == 5 else data
    )
    path = retimed(apart, tmp_path / "retimed.mkv", lambda place, ms: ms + {40: 42, 41: -42}.get(place, 0))

    with pytest.raises(VideoError, match=r"has timestamps that go back after 1\.\d+ s"):
        probe(path)


@pytest.mark.parametrize(
    "name", ["b_pyramid", "open_gop_ts", "hevc", "hevc_layers", "interlaced", "constant"]
)
def test_nothing_is_decoded_twice_where_the_order_is_sound(
    name: str, clip: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("vbench.video.index.timestamps.decoded_pts")

    assert probe(clip(name)).frames


def test_a_doubt_far_into_a_large_video_is_not_decoded(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 33 million pixels each, the first 31 pictures take the seconds that a doubt may cost."""
    black = "-f lavfi -i color=black:s=7680x4320:r=24:d=1.5"
    whole = make("large.mkv", f"{black} {X264} -preset ultrafast -bf 0 -x264-params keyint=12:scenecut=0")
    path = retimed(whole, tmp_path / "retimed.mkv", lambda place, ms: ms + {32: 42, 33: -42}.get(place, 0))
    monkeypatch.delattr("vbench.video.index.timestamps.decoded_pts")

    with pytest.raises(VideoError, match=r"has timestamps that go back after 1\.3\d\d s"):
        probe(path)


def test_a_video_that_begins_at_an_inexact_picture_is_named(make: Make, tmp_path: Path) -> None:
    open_gop = "-bf 3 -x264-params keyint=12:open-gop=1:scenecut=0"
    whole = make("open.mkv", f"{source(2, '24', '96x64')} {X264} {open_gop}")
    path = tmp_path / "cut.mkv"
    run_ffmpeg("-i", str(whole), "-c", "copy", "-bsf:v", r"noise=drop=lt(n\,12),filter_units=remove_types=6",
               str(path))  # fmt: skip

    assert times_of_a_decoder(path)
    with pytest.raises(VideoError, match=r"no keyframe from which decoding is exact \(IDR picture or exact"):
        probe(path)


def test_order_counts_wrap_and_begin_again() -> None:
    order = PictureOrder()

    def place(lsb: int, *, begins: bool = False, is_anchor: bool = True) -> int:
        made = order.add(PictureOrderCount(lsb=lsb, lsb_bits=4), begins=begins, is_anchor=is_anchor)
        assert made is not None
        return made

    first, p, b, later = place(0, begins=True), place(6), place(2, is_anchor=False), place(12)
    wrapped, before_it = place(2), place(14, is_anchor=False)
    assert first < b < p < later < before_it < wrapped
    assert wrapped < place(0, begins=True)
    assert order.add(None, begins=False, is_anchor=True) is None
