"""``docker/check_image.py [RUNTIME]``: the Dockerfile's steps in a clean Debian, and a trial in the result.

For machines without a Docker engine, as root, with ``debootstrap`` installed. Each stage begins as a fresh
minimal Debian or as the stage that it names; RUN, COPY, ENV, ARG, WORKDIR, USER and SHELL are done as a
builder does them, and nothing else changes files. Then ``python -m vbench`` runs a short trial, as
the image's user and in its environment. Roots are made below --work and removed at the end.
"""

import argparse
import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[1]

DEBIAN = "bookworm"

DEADLINE_S = 1800

TRIAL = (
    *("video.scene.width=320", "video.scene.height=180", "video.scene.length_s=4", "video.scene.unique_s=4"),
    *("pipeline.chunk_s=2", "load.requests=2", "load.warmup=1", "load.concurrency=1"),
    *("cluster.nodes.head.object_store_mb=200", "load.max_foreign_cpu_percent=100", "load.max_late_ms=10000"),
)

FROM_OUTSIDE = ("etc/apt", "etc/ssl", "etc/pip.conf", "etc/xdg/pip", "etc/resolv.conf", "etc/hosts")
"""How this machine reaches packages, which a builder has by its network."""

ENV_FROM_OUTSIDE = ("PIP_", "http_proxy", "https_proxy", "no_proxy")
"""And what begins so in the environment."""


@dataclass(kw_only=True)
class Stage:
    """One stage as it is built."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0"
    shell: list[str] = field(default_factory=lambda: ["/bin/sh", "-c"])


def main() -> int:
    """Build, and run the trial; its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runtime", nargs="?", default="oss", help="value of the build argument RUNTIME")
    parser.add_argument(
        "--work", type=Path, default=Path("/var/tmp/vbench-image"), help="folder for the roots"
    )
    parser.add_argument(
        "--share", action="append", default=[], help="folder of this machine that RUN may read, as it is"
    )
    options = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("check_image: needs root, and the package debootstrap", file=sys.stderr)
        return 2
    options.work.mkdir(parents=True)
    try:
        began_s = time.monotonic()
        image = build(options.work, {"RUNTIME": options.runtime}, options.share)
        size_mb = sum(f.lstat().st_size for f in image.root.rglob("*") if not f.is_dir()) / 1e6
        print(f"\nbuilt in {time.monotonic() - began_s:.0f} s, {size_mb:.0f} MB; environment: {image.env}")
        home = "/tmp/trial"
        command = ["python", "-m", "vbench", f"runtime={options.runtime}", *TRIAL]
        image.folder = home
        (image.root / home.lstrip("/")).mkdir()
        os.chown(image.root / home.lstrip("/"), int(image.user), int(image.user))
        return inside(image, command, ())
    finally:
        subprocess.run(["rm", "-r", "--one-file-system", options.work], check=True, timeout=DEADLINE_S)


def build(work: Path, arguments: Mapping[str, str], shared: Sequence[str]) -> Stage:
    """The last stage of the Dockerfile."""
    debian = work / "debian"
    mirror = subprocess.run(
        ["apt-cache", "policy"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    sources = [line.split()[1] for line in mirror.splitlines() if f"{DEBIAN}/main" in line]
    subprocess.run(
        ["debootstrap", "--variant=minbase", DEBIAN, str(debian), sources[0]], check=True, timeout=DEADLINE_S
    )
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    arguments = dict(arguments)
    for step in DockerfileParser(path=str(ROOT / "Dockerfile")).structure:
        kind, value = step["instruction"], step["value"]
        if kind == "COMMENT":
            continue
        print(f"{kind} {value}", flush=True)
        if kind == "FROM":
            stage = _from(value, arguments, stages, debian, work)
        elif kind == "ARG":
            name, _, default = value.partition("=")
            arguments.setdefault(name, default)
        else:
            assert stage is not None, "nothing but ARG stands before FROM"
            _step(stage, kind, value, stages, shared)
    assert stage is not None
    return stage


def _from(
    value: str, arguments: Mapping[str, str], stages: dict[str, Stage], debian: Path, work: Path
) -> Stage:
    base, _, name = Template(value).substitute(arguments).split()
    if base not in stages and not base.startswith("debian:"):
        raise SystemExit(f"check_image: FROM {base} is neither a stage nor Debian")
    before = stages.get(base, Stage(root=debian))
    root = work / name
    # Device files as such: read like others, some have no end.
    subprocess.run(
        ["cp", "--archive", "--one-file-system", before.root, root], check=True, timeout=DEADLINE_S
    )
    stages[name] = Stage(
        root=root, env=dict(before.env), folder=before.folder, user=before.user, shell=list(before.shell)
    )
    return stages[name]


def _step(stage: Stage, kind: str, value: str, stages: Mapping[str, Stage], shared: Sequence[str]) -> None:
    if kind == "RUN":
        status = inside(stage, [*stage.shell, value], shared)
        if status:
            raise SystemExit(f"check_image: RUN ended with status {status}")
    elif kind == "COPY":
        _copy(stage, shlex.split(value), stages)
    elif kind == "ENV":
        for pair in shlex.split(value):
            name, _, text = pair.partition("=")
            stage.env[name] = Template(text).substitute({"PATH": _path(stage), **stage.env})
    elif kind == "WORKDIR":
        stage.folder = value
        (stage.root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif kind == "USER":
        stage.user = value
    elif kind == "SHELL":
        stage.shell = [str(word) for word in json.loads(value)]


def _path(stage: Stage) -> str:
    return stage.env.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def _copy(stage: Stage, words: Sequence[str], stages: Mapping[str, Stage]) -> None:
    """With ``.dockerignore``, where files come from the build's context."""
    source, ignored = ROOT, _ignored
    if words[0].startswith("--from="):
        source, ignored = stages[words[0].removeprefix("--from=")].root, lambda *_: set()
        words = words[1:]
    *names, target = words
    there = stage.root / (target if target.startswith("/") else f"{stage.folder}/{target}").lstrip("/")
    for name in names:
        path = source / name.lstrip("/")
        if path.is_dir():
            shutil.copytree(path, there, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        else:
            to = there / path.name if target.endswith("/") or there.is_dir() else there
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)


def _ignored(_: Any, names: Sequence[str]) -> set[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line.removeprefix("**/") for line in lines if line.startswith("**/")]
    return {name for name in names for pattern in patterns if fnmatch.fnmatch(name, pattern)}


def inside(stage: Stage, command: Sequence[str], shared: Sequence[str]) -> int:
    """Run a command in the stage; its exit status. ``shared``: folders of this machine that it may read.

    What a container has of its machine (devices, processes, shared memory) is mounted in a mount namespace of
    the command's own: here there is never a mount, so that removing a root removes nothing else.
    """
    for name in FROM_OUTSIDE:
        path = Path("/") / name
        if path.exists():
            # Over what an earlier step was given, links included.
            there = stage.root / name
            there.parent.mkdir(parents=True, exist_ok=True)
            copy = ["cp", "--archive", "--remove-destination", "--no-target-directory", path, there]
            subprocess.run(copy, check=True, timeout=DEADLINE_S)
    outside = {name: value for name, value in os.environ.items() if name.startswith(ENV_FROM_OUTSIDE)}
    env = {
        "PATH": _path(stage),
        "HOME": "/root" if stage.user == "0" else "/home/ray",
        **stage.env,
        **outside,
    }
    user = [] if stage.user == "0" else [f"--userspec={stage.user}:{stage.user}"]
    mounts = []
    for place in ("/dev", "/proc", "/sys", *shared):
        there = stage.root / place.lstrip("/")
        there.mkdir(parents=True, exist_ok=True)
        mounts.append(shlex.join(["mount", "--rbind", place, str(there)]))
    step = f"cd {shlex.quote(stage.folder)} && exec {shlex.join(command)}"
    enter = shlex.join(["exec", "env", "-i", *(f"{name}={value}" for name, value in env.items())])
    enter += " " + shlex.join(["/usr/sbin/chroot", *user, str(stage.root), "/bin/sh", "-c", step])
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join([*mounts, enter])],
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE_S,
        check=False,
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
