"""A service reads regular files in the folders that it was deployed with, and nothing by any other name."""

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs import output_of
from vbench.video.errors import VideoError
from vbench.video.fetch.download import fetch_video
from vbench.video.fetch.local_files import default_roots, real_roots
from vbench.video.types import VideoLimits

LIMITS = VideoLimits()
OUTSIDE = "cannot be read: it is not in a folder that this service reads"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of videos, beside one that is none of the service's."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "clip.mp4").write_bytes(b"clip")
    return tmp_path / "videos"


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def read(source: str | Path, *roots: Path) -> bytes:
    with fetch_video(str(source), limits=LIMITS, timeout_s=1, roots=real_roots(roots)) as local:
        return local.path.read_bytes()


def test_files_below_a_root_are_read_by_any_name_that_stays_there(root: Path) -> None:
    (root / "deep").mkdir()
    (root / "deep" / "link.mp4").symlink_to(root / "clip.mp4")
    (root.parent / "way").symlink_to(root)
    for name in (root / "clip.mp4", root / "deep" / "link.mp4", root / "deep" / ".." / "clip.mp4"):
        assert read(name, root) == b"clip"
    assert read(f"file://{root}/clip.mp4", root) == b"clip"
    assert read(root.parent / "way" / "clip.mp4", root) == b"clip"
    assert read(root / "clip.mp4", root.parent / "way") == b"clip"


def test_what_lies_outside_is_refused_whether_or_not_it_is_there(root: Path) -> None:
    secret = root.parent / "other" / "secret.mp4"
    (root / "link.mp4").symlink_to(secret)
    (root / "folder").symlink_to(root.parent / "other")
    (root.parent / "videos-of-others").mkdir()
    (root.parent / "videos-of-others" / "a.mp4").write_bytes(b"secret")
    for name in (
        secret,
        root.parent / "other" / "none.mp4",
        root.parent / "nowhere" / "none.mp4",
        root / "link.mp4",
        root / "folder" / "secret.mp4",
        root / ".." / "other" / "secret.mp4",
        root.parent / "videos-of-others" / "a.mp4",
        "/etc/passwd",
        "/none.mp4",
    ):
        with pytest.raises(VideoError, match=OUTSIDE):
            read(name, root)


def test_a_way_back_tells_nothing_of_what_lies_outside(root: Path) -> None:
    """The kernel would go into each folder, and follow each link, before it went back."""
    (root / "away").symlink_to(root.parent / "other")
    back = "/".join(len(root.parts) * [".."])
    for start in ("/etc/ssl", "/etc/absent/deeper", "/etc/passwd", "/proc/1", "/proc/absent", f"{root}/away"):
        for up in (back, back.replace("..", "%2e%2e")):
            way = f"{start}/{up}{root}"
            scheme = "file://" if "%" in up else ""
            with fetch_video(
                f"{scheme}{way}/clip.mp4", limits=LIMITS, timeout_s=1, roots=real_roots([root])
            ) as local:
                assert local.path.read_bytes() == b"clip"
                assert local.display_name == f"{root}/clip.mp4", "a file that there is"
            with pytest.raises(VideoError, match="cannot be read: No such file"):
                read(f"{scheme}{way}/none.mp4", root)
    for start in ("other", "absent", "other/secret.mp4"):
        with pytest.raises(VideoError, match=OUTSIDE):
            read(f"{root.parent}/{start}/../other/secret.mp4", root)
    assert read(f"{root}/away/../clip.mp4", root) == b"clip"
    assert read(f"/{root}/clip.mp4", root) == b"clip"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_open_files_of_processes_are_never_reached(scheme: str, root: Path) -> None:
    """The copy that another request is fetching lies in an unnamed file of the temporary folder."""
    with tempfile.TemporaryFile(dir=root) as copy:
        copy.write(b"of another request")
        copy.flush()
        hidden = f"/proc/{os.getpid()}/fd/{copy.fileno()}"
        (root / "link.mp4").symlink_to(hidden)
        (root / "fd").symlink_to(Path(hidden).parent)
        for name in (
            hidden,
            f"/proc/self/fd/{copy.fileno()}",
            f"/proc/thread-self/fd/{copy.fileno()}",
            f"{root}/../{'../' * 20}proc/self/fd/{copy.fileno()}",
            f"//proc/self/fd/{copy.fileno()}",
            f"/dev/fd/{copy.fileno()}",
            f"/proc/self/root{root}/clip.mp4",
            str(root / "link.mp4"),
            str(root / "fd" / str(copy.fileno())),
            "/dev/zero",
            "/sys/kernel/notes",
        ):
            with pytest.raises(VideoError, match=OUTSIDE):
                read(scheme + name, root, Path("/"))


def test_only_regular_files_are_read_and_nothing_else_is_opened(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.mp4"))
    for name in ("pipe.mp4", "socket.mp4"):
        with pytest.raises(VideoError, match="is not a regular file: name a video file"):
            read(root / name, root)
    with pytest.raises(VideoError, match="is a directory: name a video file"):
        read(root, root)


def test_a_name_that_is_led_elsewhere_meanwhile_changes_nothing(root: Path) -> None:
    name = root / "clip.mp4"
    with fetch_video(str(name), limits=LIMITS, timeout_s=1, roots=real_roots([root])) as local:
        name.unlink()
        name.symlink_to(root.parent / "other" / "secret.mp4")
        assert local.path.read_bytes() == b"clip"
        assert local.display_name == str(name)


def test_what_is_wrong_with_a_file_is_said_by_its_name(root: Path) -> None:
    (root / "empty.mp4").touch()
    with pytest.raises(
        VideoError,
        match=rf"^{root}/empty.mp4 is empty: it has 0 bytes; copy it again from where it is whole$",
    ):
        read(root / "empty.mp4", root)
    with pytest.raises(VideoError, match=rf"^{root}/none.mp4 cannot be read: No such file") as caught:
        read(root / "none.mp4", root)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


@pytest.mark.parametrize("root", ["/proc", "/dev/shm", "/sys/fs", "/proc/self"])
def test_roots_are_folders_of_files(root: str) -> None:
    with pytest.raises(ValueError, match="/proc, /dev, /sys are never read"):
        real_roots([root])


def test_by_default_a_service_reads_the_folder_that_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_roots() == (str(tmp_path),)
    monkeypatch.chdir("/")
    assert default_roots() == (), "all of the disk is nobody's folder of videos"


def test_links_are_followed_up_to_a_number(root: Path) -> None:
    previous = root / "clip.mp4"
    for number in range(45):
        link = root / f"link{number}.mp4"
        link.symlink_to(previous.name)
        previous = link
    assert read(root / "link30.mp4", root) == b"clip"
    (root / "loop.mp4").symlink_to("loop.mp4")
    for name in ("link44.mp4", "loop.mp4"):
        with pytest.raises(VideoError, match="cannot be read: Too many levels of symbolic links"):
            read(root / name, root)


def test_folders_on_the_way_must_be_folders_that_may_be_entered(root: Path) -> None:
    with pytest.raises(VideoError, match="cannot be read: Not a directory"):
        read(root / "clip.mp4" / "x", root)
    with pytest.raises(VideoError, match=r"cannot be read: .*null byte"):
        read(f"{root}/a\0b", root)
    with pytest.raises(VideoError, match="cannot be read: File name too long"):
        read(root / ("x" * 300), root)


READ_IN_A_NAMESPACE = """
import subprocess, sys
from pathlib import Path
from vbench.video.errors import VideoError
from vbench.video.fetch.local_files import real_roots
from vbench.video.fetch.download import fetch_video
from vbench.video.types import VideoLimits

root = Path(sys.argv[1])
other = subprocess.Popen(
    ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0/videos" && echo other > "$0/videos/clip.mp4"'
     ' && echo other > "$0/videos/more.mp4" && echo ready && read _', str(root)],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
assert other.stdout.readline() == b"ready\\n"
there = f"{root}/host/proc/{other.pid}"
copy = open(root / "videos" / "copy.mp4", "w+b")
copy.write(b"of another request")
copy.flush()
(root / "videos" / "copy.mp4").unlink()
(root / "videos" / "link.mp4").symlink_to(f"{there}/root{root}/videos/more.mp4")
(root / "videos" / "way").symlink_to(f"{there}/root")
names = [
    f"{there}/root{root}/videos/clip.mp4",
    f"{there}/root{root}/videos/more.mp4",
    f"{root}/videos/link.mp4",
    f"{root}/videos/way{root}/videos/more.mp4",
    f"{root}/host/proc/self/fd/{copy.fileno()}",
    f"{root}/host/proc/self/cwd/{root}/videos/clip.mp4",
    f"{root}/host/proc/version",
    f"{root}/host/sys/kernel/notes",
    f"{root}/host/dev/null",
    f"{root}/host/dev/shm/none.mp4",
    f"{root}/host/proc/none",
]
roots = real_roots([root])
with fetch_video(f"{root}/videos/clip.mp4", limits=VideoLimits(), timeout_s=1, roots=roots) as local:
    assert local.path.read_bytes() == b"clip"
for name in names:
    try:
        with fetch_video(name, limits=VideoLimits(), timeout_s=1, roots=roots) as local:
            print("read", name, local.path.read_bytes()[:20])
    except VideoError as error:
        if "it is not in a folder that this service reads" not in str(error):
            print("said", name, error)
print("done")
other.communicate(b"\\n")
"""


def test_what_is_the_kernels_is_never_read_wherever_it_is_mounted(root: Path) -> None:
    """As in a container that has the host's ``/proc``, ``/sys`` and ``/dev`` below ``/host``."""
    for name in ("proc", "sys", "dev"):
        (root.parent / "host" / name).mkdir(parents=True)
    mounts = (
        'mount -t proc none "$1/host/proc" && mount --rbind /sys "$1/host/sys"'
        ' && mount --rbind /dev "$1/host/dev" && exec "$2" -c "$3" "$1"'
    )
    result = output_of(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"),
            *("sh", "-c", mounts, "sh", str(root.parent), sys.executable, READ_IN_A_NAMESPACE),
        ],
        timeout_s=60,
    )
    assert result == (0, "done\n")
