"""What a service lets a request read, and how many videos it fetches at a time."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.support.http_files import Behaviour, serving
from tests.support.waiting import until
from vbench.errors import ConfigError
from vbench.load.pipeline_args import pipeline_args
from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.chunk_source import ChunkSource
from vbench.pipeline.config import PipelineArgs, VideoLimitArgs
from vbench.pipeline.errors import OverloadedError, VideoMissingError, retry_after_s, status_of
from vbench.pipeline.fetch_slots import FetchSlots
from vbench.pipeline.memory_budget import FramesBudget, check_packets, packets_capacity_bytes
from vbench.pipeline.request_settings import RequestSettings
from vbench.pipeline.request_video import Opening, SharedReaders
from vbench.run.compose import compose_configs
from vbench.video.errors import StoppedError, VideoBusyError, VideoError, VideoTooLargeError
from vbench.video.reader.pool import ReaderServer
from vbench.video.types import VideoLimits

NOT_STOPPED = threading.Event()
Open = Callable[..., Opening]


@pytest.fixture(scope="module", autouse=True)
def readers() -> Iterator[ReaderServer]:
    readers = ReaderServer()
    yield readers
    readers.close()


@pytest.fixture
def opening(readers: ReaderServer) -> Callable[..., Opening]:
    def make(video: str, fetches: FetchSlots | None = None, **args: object) -> Opening:
        job = RequestSettings.of(ProcessRequest(video=video), PipelineArgs.model_validate(args))
        packets = FramesBudget(100_000_000)
        return Opening(
            video, job, SharedReaders(fetches=fetches or FetchSlots(1, 0), readers=readers, packets=packets)
        )

    return make


def test_a_file_is_open_by_its_name_and_read_by_its_descriptor(opening: Open, clip: Path) -> None:
    asked = opening(str(clip), roots=[str(clip.parent)])
    with asked.splitter(NOT_STOPPED) as splitter:
        assert asked.local.path.is_relative_to("/proc/self/fd")
        assert splitter.info.path == str(clip)
        assert sum(len(chunk.sampled_pts) for chunk in splitter) == 12
    assert asked.local.display_name == str(clip)


def test_what_is_wrong_with_a_video_is_said_by_its_users_name(opening: Open, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all\n" * 100)
    with (
        pytest.raises(VideoError, match=rf"^{text} cannot be opened as a video"),
        opening(str(text), roots=[str(tmp_path)]).splitter(NOT_STOPPED),
    ):
        pass
    with (
        serving(Behaviour(text.read_bytes())) as url,
        pytest.raises(VideoError, match=rf"^{url}/a.mp4 cannot be opened as a video"),
        opening(f"{url}/a.mp4?key=1", sources=["http"], private_sources=["127.0.0.1"]).splitter(NOT_STOPPED),
    ):
        pass


def test_a_file_outside_of_the_roots_is_refused(opening: Open, clip: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(VideoError, match="is not in a folder that this service reads") as caught,
        opening(str(clip), roots=[str(tmp_path)]).splitter(NOT_STOPPED),
    ):
        pass
    assert status_of(caught.value)[0] == 422


def test_a_file_that_is_not_there_is_missing(opening: Open, tmp_path: Path) -> None:
    with (
        pytest.raises(VideoMissingError, match=r"none.mp4 cannot be read: No such file or directory"),
        opening(f"{tmp_path}/none.mp4", roots=[str(tmp_path)]).splitter(NOT_STOPPED),
    ):
        pass


def test_a_private_address_is_read_from_by_a_service_that_was_deployed_so(opening: Open, clip: Path) -> None:
    behaviour = Behaviour(clip.read_bytes())
    with serving(behaviour) as url:
        with (
            pytest.raises(VideoError, match="its host has no public address"),
            opening(f"{url}/clip.mp4", sources=["http"]).splitter(NOT_STOPPED),
        ):
            pass
        assert behaviour.asked == []
        allowed = opening(f"{url}/clip.mp4", sources=["http"], private_sources=["127.0.0.1"])
        with allowed.splitter(NOT_STOPPED) as splitter:
            assert splitter.info.frames == 120


def test_fetches_beyond_the_slots_are_refused_and_files_are_not(opening: Open, clip: Path) -> None:
    slots = FetchSlots(1, 0)
    with slots.slot(NOT_STOPPED):
        with (
            pytest.raises(OverloadedError, match="1 videos are being fetched for other requests") as caught,
            opening("http://127.0.0.1:9/a.mp4", slots, sources=["http"]).splitter(NOT_STOPPED),
        ):
            pass
        assert (status_of(caught.value)[0], caught.value.retry_after_s) == (503, 10.0)
        with opening(str(clip), slots, roots=[str(clip.parent)]).splitter(NOT_STOPPED):
            pass


def test_a_slot_is_free_once_the_video_is_here(opening: Open, clip: Path) -> None:
    slots = FetchSlots(1, 0)
    with serving(Behaviour(clip.read_bytes())) as url, ExitStack() as both:
        for _ in range(2):
            asked = opening(f"{url}/clip.mp4", slots, sources=["http"], private_sources=["127.0.0.1"])
            both.enter_context(asked.splitter(NOT_STOPPED))


def test_who_waits_for_a_slot_gets_it_or_a_refusal_in_time() -> None:
    slots = FetchSlots(1, 1, wait_s=0.3)
    stop = threading.Event()
    with slots.slot(NOT_STOPPED):
        with pytest.raises(OverloadedError), slots.slot(NOT_STOPPED):
            pass
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(StoppedError), slots.slot(stop):
            pass
    patient = FetchSlots(1, 1, wait_s=30)
    entered = threading.Event()

    def wait() -> None:
        with patient.slot(NOT_STOPPED):
            entered.set()

    with patient.slot(NOT_STOPPED):
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: patient.waiting == 1, "it waits", 10)
        with pytest.raises(OverloadedError), patient.slot(NOT_STOPPED):
            pass
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()


def test_slow_sources_never_hold_all_requests() -> None:
    assert PipelineArgs().fetches_at_once == 2
    args = {"service": {"max_ongoing_requests": 16}}
    assert PipelineArgs.model_validate(args).fetches_at_once == 8
    assert PipelineArgs.model_validate(args | {"max_fetches": 3}).fetches_at_once == 3


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("roots", ["videos"], "'videos' is not an absolute path: give one, such as /data/videos"),
        ("roots", "/data,/proc/self", "cannot be a folder of videos: /proc, /dev, /sys are never read"),
        ("private_sources", "http://h", "is neither a host nor a network: write a host name"),
    ],
)
def test_what_may_be_read_is_checked_when_the_service_is_deployed(
    field: str, value: object, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        PipelineArgs.model_validate({field: value})


def test_packets_take_what_frames_leave_of_the_smallest_store() -> None:
    def node(store: float, **resources: float) -> dict[str, object]:
        return {"Alive": True, "Resources": {"object_store_memory": store, **resources}}

    args = {"service": {"resources": {"s": 0.1}}, "decoder": {"resources": {"d": 0.1}}}
    nodes = [node(100e6, CPU=4.0), node(1000e6, s=1.0), node(600e6, CPU=4.0, d=1.0)]
    assert packets_capacity_bytes(PipelineArgs.model_validate(args), nodes) == pytest.approx(120e6, abs=1)
    given = PipelineArgs.model_validate(args | {"packets_budget_mb": 50, "service": {"replicas": 2}})
    assert packets_capacity_bytes(given, nodes) == 25_000_000


def test_a_chunk_with_more_packets_than_the_budget_is_refused_with_the_arithmetic(
    opening: Open, clip: Path
) -> None:
    asked = opening(str(clip), roots=[str(clip.parent)])
    with asked.splitter(NOT_STOPPED) as splitter:
        check_packets(splitter, sum(splitter.coded_bytes))
        with pytest.raises(
            VideoTooLargeError,
            match=r"chunk 0 .* 0\.\d MB of coded pictures, of a budget of 0\.0 MB; ask for",
        ):
            check_packets(splitter, 1000)


def test_the_packets_of_all_requests_together_are_bounded(opening: Open, clip: Path) -> None:
    """A chunk is read once those before it are decoded, where both do not fit; an end gives back all."""

    async def scenario() -> None:
        sizes = []
        asked = opening(str(clip), roots=[str(clip.parent)], chunk_s=4)
        with asked.splitter(NOT_STOPPED) as splitter:
            sizes = list(splitter.coded_bytes)
        assert len(sizes) == 3
        packets = FramesBudget(max(sizes))
        async with ChunkSource(asked.splitter, packets) as source:
            await source.next()
            second = asyncio.ensure_future(source.next())
            done, _ = await asyncio.wait([second], timeout=0.3)
            assert not done
            source.decoded(0)
            source.decoded(0)
            assert (await second).chunk is not None
            assert packets.free == max(sizes) - sizes[1]
        assert packets.free == max(sizes)

    asyncio.run(scenario())


def test_chunks_without_frames_come_in_order_among_the_others(opening: Open, clip: Path) -> None:
    async def scenario() -> None:
        packets = FramesBudget(100_000_000)
        asked = opening(str(clip), roots=[str(clip.parent)], chunk_s=0.5, fps=1)
        async with ChunkSource(asked.splitter, packets) as source:
            plan = source.splitter.plan
            chunks = []
            while (chunk := (await source.next()).chunk) is not None:
                chunks.append(chunk)
                source.decoded(chunk.index)
        assert [(one.index, one.start_s, one.sampled_pts.tolist()) for one in chunks] == [
            (number, part.start_s, part.sampled_pts.tolist()) for number, part in enumerate(plan)
        ]
        assert [len(one.sampled_pts) for one in chunks] == [1, 0] * 12
        assert packets.free == packets.capacity

    asyncio.run(scenario())


def test_a_trial_reads_its_video_and_no_other(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    (local,) = compose_configs(["video=file", f"video.path={clip}"], multirun=False)
    (scene,) = compose_configs([], multirun=False)
    (web,) = compose_configs(["video=file", "video.path=http://127.0.0.1:9/clip.mp4"], multirun=False)
    (store,) = compose_configs(["video=file", "video.path=s3://videos/clip.mp4"], multirun=False)

    assert pipeline_args(local).roots == pipeline_args(scene, clip).roots == (str(tmp_path),)
    assert pipeline_args(scene).roots is None
    slots = web.cluster.deployments.service.max_ongoing_requests
    for config, hosts in ((web, ("127.0.0.1",)), (store, ())):
        assert pipeline_args(config, clip).private_sources == hosts
        assert pipeline_args(config, clip).fetches_at_once == slots
        # What a manifest deploys is for anybody who can reach it.
        assert pipeline_args(config).private_sources == ()
        assert pipeline_args(config).fetches_at_once == slots // 2


def test_an_address_with_options_is_refused_before_a_trial_starts() -> None:
    with pytest.raises(ConfigError, match=r"video.path: s3://videos/clip.mp4 contains options"):
        compose_configs(["video=file", "video.path='s3://videos/clip.mp4?region=eu-west-1'"], multirun=False)


def test_a_fetch_that_others_leave_no_room_for_may_be_tried_again() -> None:
    error = VideoBusyError("no room now")
    assert (status_of(error)[0], retry_after_s(error)) == (503, 5.0)


def test_the_default_limits_of_a_fetch_suit_a_laptop() -> None:
    assert VideoLimitArgs().limits() == VideoLimits()
    assert VideoLimitArgs().max_fetched_bytes == 2 * 2**30
    assert VideoLimitArgs().max_disk_share == pytest.approx(0.5)


def test_a_trial_fetches_its_video_whatever_its_size() -> None:
    (web,) = compose_configs(["video=file", "video.path=http://127.0.0.1:9/clip.mp4"], multirun=False)
    limits = pipeline_args(web, Path("/clip.mp4")).limits
    assert (limits.max_fetched_bytes, limits.max_disk_share) == (limits.max_size_bytes, 1.0)
