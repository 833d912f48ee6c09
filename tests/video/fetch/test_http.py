"""Videos that lie elsewhere arrive whole and unchanged, or are refused in one sentence; nothing is left."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xxhash

from tests.support.http_files import Behaviour, serving
from tests.video.support.remote_servers import answering
from vbench.video.errors import (
    StoppedError,
    VideoError,
    VideoTimeoutError,
    VideoTooLargeError,
    VideoUnreachableError,
)
from vbench.video.fetch import download
from vbench.video.fetch.download import fetch_video, redacted
from vbench.video.fetch.fetched_copy import FetchedCopy
from vbench.video.types import VideoLimits

BODY = np.random.default_rng(1).bytes(3_000_000)
LIMITS = VideoLimits()


def fetch(source: str, limits: VideoLimits = LIMITS, timeout_s: float = 30) -> bytes:
    with fetch_video(source, limits=limits, timeout_s=timeout_s) as local:
        body = local.path.read_bytes()
        assert (local.size_bytes, local.checksum) == (len(body), xxhash.xxh3_128_hexdigest(body))
    return body


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_arrives_whole_by_one_request(chunked: bool) -> None:
    behaviour = Behaviour(BODY, chunked=chunked)
    with serving(behaviour) as url:
        assert fetch(f"{url}/clip.mp4") == BODY
    assert behaviour.asked == [None]


def test_what_broke_off_is_read_on_from_there() -> None:
    behaviour = Behaviour(BODY, breaks_after=[1_000_000, 0, 500_000])
    with serving(behaviour) as url:
        assert fetch(url + "/clip.mp4") == BODY
    assert behaviour.asked == [None, "bytes=1000000-", "bytes=1000000-", "bytes=1500000-"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_that_is_proven_all_is_read_anew(etag: str | None) -> None:
    behaviour = Behaviour(BODY, etag=etag, breaks_after=[1_000_000])
    with serving(behaviour) as url:
        assert fetch(url + "/clip.mp4") == BODY
    assert behaviour.asked == [None, None]


def test_a_server_without_ranges_is_read_anew() -> None:
    behaviour = Behaviour(BODY, ranges=False, breaks_after=[1_000_000])
    with serving(behaviour) as url:
        assert fetch(url + "/clip.mp4") == BODY
    assert behaviour.asked == [None, "bytes=1000000-"]


def test_a_file_that_changes_on_the_way_is_read_anew_not_mixed() -> None:
    behaviour = Behaviour(BODY, breaks_after=[1_000_000])
    read_bytes = FetchedCopy.append

    with serving(behaviour) as url, pytest.MonkeyPatch.context() as patch:

        def change(self: FetchedCopy, block: bytes) -> None:
            behaviour.body, behaviour.etag = BODY[::-1], '"v2"'
            read_bytes(self, block)

        patch.setattr(FetchedCopy, "append", change)
        assert fetch(url + "/clip.mp4") == BODY[::-1]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    behaviour = Behaviour(BODY, statuses=[status, status])
    with serving(behaviour) as url:
        assert fetch(url + "/clip.mp4") == BODY


@pytest.mark.parametrize(("status", "missing"), [(404, True), (410, True), (403, False)])
def test_what_is_not_there_is_asked_for_once(status: int, missing: bool) -> None:
    behaviour = Behaviour(BODY, statuses=[status])
    with (
        serving(behaviour) as url,
        pytest.raises(VideoError, match=rf"cannot be read: HTTP {status}") as caught,
    ):
        fetch(url + "/clip.mp4?key=secret")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, FileNotFoundError) == missing
    assert len(behaviour.asked) == 1


def test_a_source_that_always_breaks_off_is_given_up() -> None:
    behaviour = Behaviour(BODY, breaks_after=[7] + 9 * [0])
    with (
        serving(behaviour) as url,
        pytest.raises(VideoError, match=r"was interrupted 5 times in a row after 7 of 3000000"),
    ):
        fetch(url + "/clip.mp4")


@pytest.mark.parametrize("etag", [False, True])
def test_a_source_that_is_always_read_anew_is_given_up_however_much_it_gives(
    etag: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kilobyte more each time, also between two parts of one version, is no progress."""
    monkeypatch.setattr(download, "BACK_OFF_S", (0.0, 0.0, 0.0, 0.0))

    def answer(connection: socket.socket, _: threading.Event) -> None:
        count = len(server.asked)
        asked = server.asked[-1]
        head = b"Content-Length: 9000000\r\n"
        if etag:
            head += b'ETag: "%d"\r\n' % (count // 2)
        if etag and b'If-Range: "%d"' % (count // 2) in asked:
            begin = int(asked.partition(b"bytes=")[2].partition(b"-")[0])
            connection.sendall(
                b'HTTP/1.1 206 Part\r\nETag: "%d"\r\nContent-Range: bytes %d-8999999/9000000\r\n\r\n1'
                % (count // 2, begin)
            )
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + bytes(1000 * count))

    with answering(answer) as server:
        with pytest.raises(VideoUnreachableError, match=r"was interrupted 5 times .* of 9000000 bytes"):
            fetch(server.url)
        assert len(server.asked) <= 2 * download.ATTEMPTS + 2


def test_a_length_that_is_a_lie_is_found_out() -> None:
    with (
        serving(Behaviour(BODY, stated_length=len(BODY) + 5, etag=None)) as url,
        pytest.raises(VideoError, match=r"was interrupted 5 times in a row after 3000000 of 3000005 bytes"),
    ):
        fetch(url + "/clip.mp4")
    with serving(Behaviour(BODY, stated_length=1000)) as url:
        assert fetch(url + "/clip.mp4") == BODY[:1000]  # what it said is the file; decoding it tells


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_above_the_limit_is_refused(chunked: bool) -> None:
    behaviour = Behaviour(BODY, chunked=chunked)
    with (
        serving(behaviour) as url,
        pytest.raises(VideoTooLargeError, match=r"is too large: .* 2000000 are allowed"),
    ):
        fetch(url + "/clip.mp4", VideoLimits(max_size_bytes=2_000_000))


def test_a_slow_server_is_left_when_the_time_is_up_or_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.video.fetch.http.READ_TIMEOUT_S", 0.1)
    with serving(Behaviour(BODY, trickle=threading.Event())) as url:
        with pytest.raises(VideoTimeoutError, match=r"was not fetched within 0.5 s: \d+ bytes arrived"):
            fetch(url + "/clip.mp4", timeout_s=0.5)
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with (
            pytest.raises(StoppedError),
            fetch_video(url + "/clip.mp4", limits=LIMITS, timeout_s=60, stop=stop),
        ):
            pass
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/clip.mp4"])
def test_a_redirect_elsewhere_is_not_followed(target: str) -> None:
    with (
        serving(Behaviour(redirect=target)) as url,
        pytest.raises(VideoError, match="refused: the server redirects"),
    ):
        fetch(url + "/clip.mp4")


def test_nobody_there_is_said() -> None:
    with serving(Behaviour()) as url:
        pass
    with pytest.raises(
        VideoError, match=r"cannot be fetched: 5 attempts in a row failed \(connection refused\); check the"
    ):
        fetch(url + "/clip.mp4")


def test_an_empty_file_is_said() -> None:
    with serving(Behaviour(b"")) as url, pytest.raises(VideoError, match="is empty: it has 0 bytes"):
        fetch(url + "/clip.mp4")


@pytest.mark.parametrize("source", ["http://h/x.mp4", "s3://bucket/x.mp4"])
def test_sources_that_a_service_does_not_allow_are_refused(source: str) -> None:
    with (
        pytest.raises(VideoError, match=r"this service does not allow \w+ sources, only file"),
        fetch_video(source, limits=LIMITS, timeout_s=1, allowed=("file",)),
    ):
        pass


@pytest.mark.parametrize("source", ["http://h:abc/x.mp4?key=k", "http://h:99999/x", "https://[x/a.mp4"])
def test_an_address_that_is_none_is_refused(source: str) -> None:
    with (
        pytest.raises(VideoError, match=r"malformed https? address: check its host and port"),
        fetch_video(source, limits=LIMITS, timeout_s=1),
    ):
        pass


@pytest.mark.parametrize(
    "source", ["http:///secret?key=secret", "https://?sig=secret", "http://me:secret@/a"]
)
def test_an_address_without_a_host_is_refused_and_its_secrets_kept(source: str) -> None:
    with pytest.raises(VideoError) as caught:
        fetch(source, timeout_s=5)
    assert "secret" not in str(caught.value).replace(redacted(source), "")


@pytest.mark.parametrize(
    ("source", "display_name"),
    [
        ("https://user:key@Host:8443/a/b.mp4?sig=s#f", "https://host:8443/a/b.mp4"),
        ("s3://key:secret@bucket/a/b.mp4?region=x", "s3://bucket/a/b.mp4"),
        ("/a/b?c.mp4", "/a/b?c.mp4"),
    ],
)
def test_what_may_be_secret_in_an_address_is_left_out(source: str, display_name: str) -> None:
    assert redacted(source) == display_name
