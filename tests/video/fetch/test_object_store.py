"""Videos in S3, on a real server on loopback, arrive whole, or are refused in one sentence."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
import pytest
import xxhash
from moto.server import ThreadedMotoServer
from pyarrow import fs

from vbench.video.errors import StoppedError, VideoError, VideoTimeoutError, VideoTooLargeError
from vbench.video.fetch import download
from vbench.video.fetch.download import fetch_video
from vbench.video.fetch.fetched_copy import FetchedCopy
from vbench.video.types import VideoLimits

BODY = np.random.default_rng(2).bytes(3_000_000)
LIMITS = VideoLimits()


@contextmanager
def listening() -> Iterator[tuple[int, Callable[[], int]]]:
    """A port on loopback, and how many have connected to it so far."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        def connections() -> int:
            count = 0
            with suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
                    count += 1
            return count

        yield server.getsockname()[1], connections


@dataclass
class Store:
    """A server on a port that it keeps when it is started again."""

    server: ThreadedMotoServer
    port: int

    def uri(self, key: str, bucket: str = "videos") -> str:
        """The address of an object."""
        return f"s3://{bucket}/{key}"

    def put(self, path: str, body: bytes) -> None:
        """Make an object, and its bucket where there is none."""
        store = fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )
        store.create_dir(path.partition("/")[0])
        with store.open_output_stream(path) as stream:
            stream.write(body)

    def again(self) -> None:
        """End it, with all connections, and start it anew; what it holds stays."""
        self.server.stop()
        self.server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)
        self.server.start()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
    made = Store(server, port)
    try:
        made.put("videos/a/clip.mp4", BODY)
        yield made
    finally:
        made.server.stop()


def fetch(uri: str, limits: VideoLimits = LIMITS, timeout_s: float = 60) -> bytes:
    with fetch_video(uri, limits=limits, timeout_s=timeout_s) as local:
        body = local.path.read_bytes()
        assert (local.size_bytes, local.checksum) == (len(body), xxhash.xxh3_128_hexdigest(body))
    return body


def test_an_object_arrives_whole(store: Store) -> None:
    assert fetch(store.uri("a/clip.mp4")) == BODY


def test_a_server_that_goes_away_in_the_middle_is_read_on_from(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    append = FetchedCopy.append

    def broken(self: FetchedCopy, block: bytes) -> None:
        append(self, block)
        sizes.append(self.size)
        if len(sizes) == 1:
            store.again()

    monkeypatch.setattr(FetchedCopy, "append", broken)

    assert fetch(store.uri("a/clip.mp4")) == BODY
    assert sizes == sorted(sizes)


def test_an_object_that_changes_on_the_way_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append = FetchedCopy.append

    def broken(self: FetchedCopy, block: bytes) -> None:
        append(self, block)
        store.put("videos/a/clip.mp4", BODY + b"more")
        raise download.InterruptedFetchError("a cable was pulled")

    monkeypatch.setattr(FetchedCopy, "append", broken)

    with pytest.raises(VideoError, match=r"s3://videos/a/clip.mp4 changed while it was being read"):
        fetch(store.uri("a/clip.mp4"))


@pytest.mark.parametrize(("bucket", "key"), [("videos", "b.mp4"), ("videos", "a"), ("nowhere", "a/clip.mp4")])
def test_what_is_not_there_is_said(store: Store, bucket: str, key: str) -> None:
    missing = rf"s3://{bucket}/{key} cannot be read: there is no such object"
    with pytest.raises(VideoError, match=missing) as caught:
        fetch(store.uri(key, bucket))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_bucket_is_no_object() -> None:
    with pytest.raises(VideoError, match=r"s3://videos names no object: write s3://BUCKET/KEY"):
        fetch("s3://videos")


def test_an_object_above_the_limit_is_refused(store: Store) -> None:
    with pytest.raises(VideoTooLargeError, match=r"it has at least 3000000 bytes, 1000 are allowed"):
        fetch(store.uri("a/clip.mp4"), VideoLimits(max_size_bytes=1000))


OPTIONS = [
    "endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1",
    "region=us-east-1&%65ndpoint_override=127.0.0.1:{port}&scheme=http",
    "region=127.0.0.1:{port}/",
    "access_key=me&secret_key=mine",
    "retry_limit_seconds=900",
    "",
]


@pytest.mark.parametrize("scheme", ["s3", "S3", "gs"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("mark", ["?", "#"])
def test_an_address_chooses_neither_host_nor_credentials(scheme: str, options: str, mark: str) -> None:
    """The node's credentials would go wherever the address says."""
    with listening() as (port, connections):
        with pytest.raises(VideoError, match=r"^(s3|gs)://videos/a.mp4 contains options"):
            fetch(f"{scheme}://videos/a.mp4{mark}{options.format(port=port)}")
        assert connections() == 0


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("KEY:TOPSECRET@videos/my clip.mp4", "s3://videos/my clip.mp4 contains a user or a port"),
        ("anonymous@videos/a.mp4", "s3://videos/a.mp4 contains a user or a port"),
        ("127.0.0.1:{port}/videos/a.mp4", r"s3://127.0.0.1:\d+/videos/a.mp4 contains a user or a port"),
        ("vid%65os/a.mp4", "names no object: a bucket name has 3 to 222 letters"),
        ("[::1]/a.mp4", "contains a user or a port"),
        ("videos/a%0d%0aHost:x", "names no object: a bucket name has 3 to 222 letters"),
        ("-videos/a.mp4", "names no object: a bucket name has 3 to 222 letters"),
        ("v/a.mp4", "names no object: a bucket name has 3 to 222 letters"),
        ("vi/a.mp4", "names no object: a bucket name has 3 to 222 letters"),
        ("videos/../other/k", "s3://videos/../other/k has . or .. as a part of its key"),
        ("videos/%2e%2e/other/k", "has . or .. as a part of its key"),
        ("videos/a/.%2E/k", "has . or .. as a part of its key"),
        ("videos/a%2f..%2fk", "has . or .. as a part of its key"),
        ("videos/./k", "has . or .. as a part of its key"),
        ("videos/..", "has . or .. as a part of its key"),
    ],
)
def test_an_address_is_a_bucket_and_a_key_alone(address: str, said: str) -> None:
    with listening() as (port, connections):
        with pytest.raises(VideoError, match=said) as caught:
            fetch(f"s3://{address.format(port=port)}")
        assert connections() == 0
    assert "TOPSECRET" not in str(caught.value)
    assert "KEY:" not in str(caught.value)


@pytest.mark.parametrize("key", ["../other/k", "%2e%2e/other/k", "a/../k", ".", "a/."])
def test_a_key_stays_in_its_bucket_in_either_store(key: str) -> None:
    with pytest.raises(VideoError, match=r"has \. or \.\. as a part of its key"):
        fetch(f"gs://videos/{key}")


def test_a_key_may_hold_what_an_address_cannot(store: Store) -> None:
    store.put("videos/a b/what?#1.mp4", BODY[:1000])

    assert fetch(store.uri("a%20b/what%3F%231.mp4")) == BODY[:1000]
    store.put("videos/.a/..b/c...mp4", BODY[:500])
    assert fetch(store.uri(".a/..b/c...mp4")) == BODY[:500]


def test_an_end_point_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "127.0.0.1:9000")
    with pytest.raises(
        VideoError, match="AWS_ENDPOINT_URL_S3 in the service's environment is not a URL like"
    ):
        fetch("s3://videos/a.mp4")


def test_an_object_that_is_replaced_by_one_of_the_same_size_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = FetchedCopy.append

    def replaced(self: FetchedCopy, block: bytes) -> None:
        append(self, block)
        if self.size == len(block):
            store.put("videos/a/clip.mp4", BODY[::-1])

    monkeypatch.setattr(FetchedCopy, "append", replaced)

    with pytest.raises(VideoError, match=r"s3://videos/a/clip.mp4 changed while it was being read"):
        fetch(store.uri("a/clip.mp4"))


def test_a_store_that_is_not_there_is_left_when_the_time_is_up(store: Store) -> None:
    store.server.stop()

    with pytest.raises(VideoTimeoutError, match=r"within 0.5 s: 0 bytes arrived"):
        fetch(store.uri("a/clip.mp4"), timeout_s=0.5)


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_that_does_not_answer_is_left_at_the_deadline_and_when_nobody_waits(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arrow itself would wait and try again for 10 s and more."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("CLOUD_STORAGE_EMULATOR_ENDPOINT", f"http://127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(VideoTimeoutError, match=r"was not fetched within 0\.5 s"):
            fetch(f"{scheme}://videos/a.mp4", timeout_s=0.5)
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        with (
            pytest.raises(StoppedError),
            fetch_video(f"{scheme}://videos/a.mp4", limits=LIMITS, timeout_s=60, stop=stop),
        ):
            pass
        assert time.monotonic() - began < 3
