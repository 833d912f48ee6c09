"""Where reference pictures are lost, decoders make some up from others: pruning must not leave those out."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.video.support.as_ffmpeg import Make, service
from tests.video.support.clips import ClipStore, source
from tests.video.support.oracle import truth
from vbench.video.codecs.picture_order import PictureOrder, PictureOrderCount
from vbench.video.probe import read_index

X264 = "-c:v libx264 -preset fast -threads 1 -qp 26 -bf 2 -x264-params keyint=12:min-keyint=12:scenecut=0"


def without(path: Path, copy: Path, lost: int) -> Path:
    """Write ``copy``: the packets of ``path`` but one."""
    with av.open(str(path)) as whole, av.open(str(copy), "w") as target:
        stream = whole.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.time_base = stream.time_base
        for place, packet in enumerate(packet for packet in whole.demux(stream) if packet.size):
            if place != lost:
                packet.stream = copied
                target.mux_one(packet)
    return copy


@pytest.mark.parametrize("lost", [1, 4, 7, 13, 16, 19])
def test_pruning_changes_no_pixel_behind_a_lost_reference(lost: int, make: Make, tmp_path: Path) -> None:
    whole = make("references.mp4", f"{source(1.5, '24', '96x64')} {X264}")
    path = without(whole, tmp_path / "lost.mkv", lost)

    expected = truth(path)
    for fps in (Fraction(3), Fraction(5)):
        for chunk_s in (Fraction(13, 100), Fraction(7, 10)):
            assert service(path, fps, chunk_s=chunk_s) == expected.expected(fps)


def test_only_the_sequence_that_lost_a_reference_is_not_pruned(make: Make, tmp_path: Path) -> None:
    whole = make("references.mp4", f"{source(1.5, '24', '96x64')} {X264}")
    path = without(whole, tmp_path / "lost.mkv", 16)

    _, index = read_index(path)

    assert [part.any() for part in np.split(index.unreferenced, [12, 23])] == [True, False, True]


@pytest.mark.parametrize("name", ["b_pyramid", "open_gop", "open_gop_ts", "long_gop"])
def test_sound_streams_lack_no_reference(name: str, clip: ClipStore) -> None:
    _, index = read_index(clip(name))

    assert index.unreferenced.any()


def test_numbers_that_begin_again_are_no_gap() -> None:
    order = PictureOrder()

    def lacks(frame_num: int, *, begins: bool = False, is_reference: bool = True) -> bool:
        count = PictureOrderCount(frame_num=frame_num, frame_num_bits=4)
        return order.lacks_reference(count, begins=begins, is_reference=is_reference)

    assert not lacks(14), "nothing is known of what came before"
    assert not any((lacks(15), lacks(0, is_reference=False), lacks(0), lacks(0, begins=True), lacks(1)))
    assert lacks(3, is_reference=False), "2 is missing"
    assert lacks(3)
    assert not lacks(4)
