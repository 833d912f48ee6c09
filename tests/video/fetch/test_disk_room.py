"""Fetched copies share the disk: none takes all of it, and all together leave room for everybody else."""

import sys
from pathlib import Path

from tests.support.runs import output_of

SCRIPT = """
import os, shutil, socket, sys, threading
from contextlib import ExitStack
from vbench.video.errors import VideoBusyError, VideoTooLargeError
from vbench.video.fetch.download import fetch_video
from vbench.video.types import VideoLimits

listener = socket.create_server(("127.0.0.1", 0))

def serve(connection):
    with connection:
        words = connection.recv(65536).split()[1].decode().strip("/").split("-")
        declared, megabytes = words[0] == "declared", int(words[1])
        length = f"Content-Length: {megabytes << 20}\\r\\n" if declared else ""
        connection.sendall(f"HTTP/1.1 200 OK\\r\\n{length}\\r\\n".encode())
        try:
            for _ in range(megabytes):
                connection.sendall(bytes(1 << 20))
        except OSError:
            pass

def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

threading.Thread(target=accept, daemon=True).start()

def fetch(name, share=0.5):
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/{name}"
    return fetch_video(url, limits=VideoLimits(max_disk_share=share), timeout_s=20)

def said(name, **options):
    try:
        with fetch(name, **options) as local:
            return local.size_bytes >> 20
    except (VideoBusyError, VideoTooLargeError) as error:
        return type(error).__name__
    finally:
        leftover.append(64 - (shutil.disk_usage(os.environ["TMPDIR"]).free >> 20))

leftover = []
for kind in ("declared", "open"):
    all_of_it = {"share": 1.0}
    print(said(f"{kind}-20"), said(f"{kind}-40"), *(said(f"{kind}-{mb}", **all_of_it) for mb in (40, 60)))
    with fetch("declared-20") as first:
        print(said(f"{kind}-8"), said(f"{kind}-20"), said(f"{kind}-40"), said(f"{kind}-20", **all_of_it))
    print(said(f"{kind}-20"))
print(max(leftover))
"""


def test_copies_leave_a_share_and_a_reserve_of_the_disk_together(tmp_path: Path) -> None:
    """On a disk of 64 MiB, of which 6.4 are the reserve, copies together may have half of the other 57.6."""
    _, output = output_of(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c"),
            'mount -t tmpfs -o size=64m none "$1" && TMPDIR="$1" exec "$2" -c "$3"',
            *("sh", str(tmp_path), sys.executable, SCRIPT),
        ],
        timeout_s=120,
    )
    alone = "20 VideoTooLargeError 40 VideoTooLargeError"
    declared = "8 VideoBusyError VideoTooLargeError 20"
    undeclared = "8 VideoBusyError VideoBusyError 20"  # nobody knows that it would not fit alone
    assert output.splitlines() == [alone, declared, "20", alone, undeclared, "20", "20"]
