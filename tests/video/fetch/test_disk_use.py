"""Copies of sources are bounded by the limits and by the free disk, and nobody else can read them."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.video.support.remote_servers import OK, answering, fetch, forever
from vbench.video.errors import VideoBusyError, VideoTooLargeError
from vbench.video.fetch import disk_room, download
from vbench.video.types import VideoLimits


def test_a_source_that_never_ends_is_left_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with answering(forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536)) as server:
        for limits in (VideoLimits(max_fetched_bytes=5_000_000), VideoLimits(max_size_bytes=5_000_000)):
            with pytest.raises(VideoTooLargeError, match=r"is too large: .* 5000000 are allowed"):
                fetch(server.url, limits=limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99000000\r\n\r\n"]
)
def test_the_disk_keeps_a_reserve(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk of 10 GB, of which 1 GB is kept, with 20 MB more than that."""
    written = [0]

    def small_disk(descriptor: int) -> SimpleNamespace:
        written[0] = disk_room.os.stat(descriptor).st_size
        return SimpleNamespace(f_bavail=1_020_000_000 - written[0], f_frsize=1, f_blocks=10_000_000_000)

    monkeypatch.setattr(disk_room.os, "fstatvfs", small_disk)
    said = r"does not fit on the service's disk: \d+ MB are left"
    with (
        answering(forever(head, b"x" * 65536)) as server,
        pytest.raises(VideoTooLargeError, match=said),
    ):
        fetch(server.url)
    assert written[0] <= 20_000_000


def test_copies_lie_where_nobody_else_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made: list[int] = []
    with answering(OK) as server:
        monkeypatch.setattr(
            "tempfile.TemporaryFile",
            lambda dir: made.append(Path(dir).stat().st_mode & 0o777) or open(Path(dir) / "f", "w+b"),  # noqa: SIM115, PTH123
        )
        monkeypatch.setattr(Path, "rmdir", lambda self: (self / "f").unlink() or disk_room.os.rmdir(self))
        assert fetch(server.url) == b"abc"
    assert made == [0o700]


@contextmanager
def at_most(kind: int, most: int) -> Iterator[None]:
    """A limit of this process, as ``ulimit`` sets it."""
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


@pytest.mark.parametrize("head", [b"Content-Length: 5000000\r\n", b""])
def test_a_file_that_may_grow_no_further_does_not_fit(head: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + bytes(5_000_000)
    with (
        answering(answer) as server,
        at_most(resource.RLIMIT_FSIZE, 1_000_000),
        pytest.raises(
            VideoTooLargeError, match=r"does not fit on the service's disk: .*ulimit -f.*; free some"
        ),
    ):
        fetch(server.url)


@pytest.mark.parametrize("nbytes", [3, 5_000_000], ids=["at the end", "in the middle"])
def test_a_disk_that_is_full_all_the_same_is_said(nbytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other processes write too, after the room was checked."""

    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir: open("/dev/full", "w+b"))  # noqa: SIM115, PTH123
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % nbytes + bytes(nbytes)) as server,
        pytest.raises(
            VideoTooLargeError, match="does not fit on the service's disk: the disk was full after"
        ),
    ):
        fetch(server.url)


def test_a_service_that_can_make_no_file_says_so_and_not_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = r"cannot create a file for the copy \(no such file or directory\); set its TMPDIR to a folder"
    with answering(OK) as server:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        with pytest.raises(VideoBusyError, match=said) as caught:
            fetch(server.url)
        assert str(tmp_path) not in str(caught.value)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        few = os.dup(0)  # the lowest number that no open file has
        os.close(few)
        with (
            at_most(resource.RLIMIT_NOFILE, few),
            pytest.raises(VideoBusyError, match=r"\(too many open files\); try again later"),
            download._unnamed_file("a.mp4"),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
