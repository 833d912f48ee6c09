"""Measures which decoder samples video fastest: ``python experiments/decode/measure.py`` (5 min).

Needs the packages of the extra ``benchmark`` and, for torchcodec, FFmpeg's shared libraries
(``apt-get install ffmpeg``). Nothing else may run meanwhile. Every decoder returns the same sampled frames as
full-size RGB, in as many arrays as it makes without a further copy, and uses all cores of the machine. In
each round, every decoder runs once, in random order. Writes raw values to ``result.json`` next to this file,
which README.md quotes.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from torchcodec.decoders import VideoDecoder

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from experiments.lib.rounds import in_rounds
from vbench.config.sizing import machine_cpus
from vbench.models.inputs import input_spec
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.pixel_format import PixelFormat
from vbench.video.probe import read_index
from vbench.video.scene import ensure_clip
from vbench.video.scenes.settings import SceneSettings
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry, Frames, VideoInfo

HERE = Path(__file__).resolve().parent
FPS = Fraction(1)
CHUNK_S = Fraction(5)
LONGEST_S = 300.0
LOOPS = 3
UNIQUE_S = 10

Pixels = npt.NDArray[np.uint8]
"""uint8[K, H, W, 3] RGB: the sampled frames, in order."""


class Clip:
    """A clip, and what a decoder needs to know to return its sampled frames."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info, index = read_index(path)
        self.pts = index.sampled_pts(self.info, FPS)
        shown = index.presented_pts()
        self.numbers = np.searchsorted(shown, self.pts).tolist()
        """Numbers of the sampled frames among all frames that are presented."""
        self.frames = len(shown)

    def empty(self) -> Pixels:
        return np.empty((len(self.pts), self.info.height, self.info.width, 3), np.uint8)


def in_chunks(
    clip: Clip,
    *,
    prune: bool = True,
    keyframes_only: bool = False,
    geometry: Callable[[VideoInfo], FrameGeometry] = FrameGeometry.native,
    workers: int | None = None,
) -> list[Frames]:
    """vbench: splits the file once and decodes chunks concurrently.

    Args:
        clip: the clip.
        prune: skip pictures that no sampled frame depends on.
        keyframes_only: return keyframes in place of the sampled frames.
        geometry: size and pixel format of the frames.
        workers: chunks decoded at a time, each by an FFmpeg with its share of the cores; None: one per core.
    """
    count = workers or machine_cpus()
    lock = threading.Lock()
    parts: dict[int, Frames] = {}
    with Splitter(
        clip.path, fps=FPS, chunk_s=CHUNK_S, prune=prune, keyframes_only=keyframes_only
    ) as splitter:
        shape = geometry(splitter.info)
        chunks = iter(splitter)

        def work() -> None:
            while True:
                with lock:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                threads = machine_cpus() // count
                parts[chunk.index] = decode_chunk(chunk, shape, threads=threads, timeout_s=LONGEST_S)

        with ThreadPoolExecutor(count) as pool:
            for task in [pool.submit(work) for _ in range(count)]:
                task.result()
    return [parts[number] for number in sorted(parts)]


def pruned(clip: Clip) -> list[Pixels]:
    """vbench with the pipeline's defaults, but full-size frames: one array per chunk."""
    return [frames.pixels for frames in in_chunks(clip)]


def whole_chunks(clip: Clip) -> list[Pixels]:
    """The same, with every picture decoded."""
    return [frames.pixels for frames in in_chunks(clip, prune=False)]


def one_ffmpeg(clip: Clip) -> list[Pixels]:
    """One FFmpeg pass over the file, one thread per core, which selects frames by timestamp."""
    passes = decode_video(clip.path, fps=FPS, threads=machine_cpus(), timeout_s=LONGEST_S, batch_frames=9999)
    return [frames.pixels for frames in passes]


def ffmpeg_fps_filter(clip: Clip) -> list[Pixels]:
    """The usual command: ``ffmpeg -i FILE -vf fps=1``."""
    plain = ["-i", str(clip.path), "-vf", "fps=1", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    done = subprocess.run(
        [ffmpeg_path(), "-v", "error", "-nostdin", *plain],
        capture_output=True,
        timeout=LONGEST_S,
        check=True,
    )
    return [np.frombuffer(done.stdout, np.uint8).reshape(-1, *clip.empty().shape[1:])]


def opencv(clip: Clip) -> list[Pixels]:
    """OpenCV: grabs every frame and retrieves the sampled ones."""
    pixels, wanted = clip.empty(), set(clip.numbers)
    capture = cv2.VideoCapture(str(clip.path), cv2.CAP_FFMPEG)
    taken = 0
    for number in range(clip.numbers[-1] + 1):
        capture.grab()
        if number in wanted:
            _, picture = capture.retrieve()
            cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=pixels[taken])
            taken += 1
    capture.release()
    return [pixels[:taken]]


def pyav(clip: Clip) -> list[Pixels]:
    """PyAV with frame threads: decodes every frame and converts the sampled ones."""
    wanted = set(clip.pts.tolist())
    frames: list[Pixels] = []
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.thread_count = machine_cpus()
        for frame in container.decode(stream):
            if frame.pts in wanted:
                frames.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)[None])
    return frames


def torchcodec(clip: Clip) -> list[Pixels]:
    """torchcodec in its exact mode, with frames requested by number."""
    decoder = VideoDecoder(
        str(clip.path),
        num_ffmpeg_threads=machine_cpus(),
        seek_mode="exact",
        dimension_order="NHWC",
    )
    return [decoder.get_frames_at(clip.numbers).data.numpy()]


DECODERS: dict[str, Callable[[Clip], list[Pixels]]] = {
    "vbench, pruned": pruned,
    "vbench, whole chunks": whole_chunks,
    "ffmpeg, select": one_ffmpeg,
    "ffmpeg, fps=1": ffmpeg_fps_filter,
    "OpenCV": opencv,
    "PyAV": pyav,
    "torchcodec": torchcodec,
}
OURS = "vbench, pruned"


def as_model(info: VideoInfo, pixel_format: PixelFormat = "rgb24") -> FrameGeometry:
    """Frames of the size of the detector's input."""
    spec = input_spec("shapes")
    return FrameGeometry.fitted(info.width, info.height, spec.width, spec.height, spec.fit, pixel_format)


DEFAULT = "rgb24, model's size"
OPTIONS: dict[str, Callable[[Clip], list[Frames]]] = {
    DEFAULT: partial(in_chunks, geometry=as_model),
    "yuv420p, model's size": partial(in_chunks, geometry=partial(as_model, pixel_format="yuv420p")),
    "rgb24, full size": in_chunks,
    "yuv420p, full size": partial(in_chunks, geometry=partial(FrameGeometry.native, pixel_format="yuv420p")),
    "one chunk at a time, a thread a core": partial(in_chunks, geometry=as_model, workers=1),
    "every picture decoded": partial(in_chunks, geometry=as_model, prune=False),
    "keyframes only (APPROXIMATE)": partial(in_chunks, geometry=as_model, keyframes_only=True),
}
"""Options of the pipeline; all but the last return the frames of the reference pass."""


def sameness(got: Pixels, expected: Pixels) -> str:
    """How a decoder's frames compare with those of the reference pass, as text."""
    if got.shape != expected.shape:
        return f"{len(got)} of {len(expected)} frames"
    if np.array_equal(got, expected):
        return "identical"
    means = [float(np.abs(a.astype(np.int16) - b).mean()) for a, b in zip(got, expected, strict=True)]
    others = sum(mean > 3 for mean in means)
    if others:
        return f"{others} of {len(expected)} frames are different ones"
    return f"same frames, RGB rounded differently (mean difference {max(means):.2f} of 255)"


def timed(decode: Callable[[Clip], object], clip: Clip) -> dict[str, float]:
    """Wall-clock and CPU seconds of one run, including those of FFmpeg."""
    before, began = os.times(), time.monotonic()
    decode(clip)
    wall_s, after = time.monotonic() - began, os.times()
    return {"wall_s": wall_s, "cpu_s": sum(after[:4]) - sum(before[:4])}


def make_clips(folder: Path, gop_s: float) -> dict[str, Path]:
    """30 s of textured 1080p30 as H.264, and the same pictures as HEVC."""
    settings = SceneSettings(
        width=1920, height=1080, length_s=LOOPS * UNIQUE_S, unique_s=UNIQUE_S, gop_s=gop_s, audio=False
    )
    h264 = ensure_clip(settings, folder)
    once, hevc = folder / f"once-{gop_s:g}.mp4", folder / f"hevc-{gop_s:g}.mp4"
    frames = round(gop_s * 30)
    parameters = f"keyint={frames}:min-keyint={frames}:scenecut=0:open-gop=0:bframes=2:log-level=error"
    ffmpeg = [ffmpeg_path(), "-v", "error", "-nostdin", "-y"]
    encode = ["-c:v", "libx265", "-preset", "veryfast", "-x265-params", parameters, "-tag:v", "hvc1"]
    for arguments in (
        ["-i", str(h264), "-t", str(UNIQUE_S), *encode, str(once)],
        ["-stream_loop", str(LOOPS - 1), "-i", str(once), "-c", "copy", str(hevc)],
    ):
        subprocess.run([*ffmpeg, *arguments], check=True, timeout=LONGEST_S)
    return {"H.264": h264, "HEVC": hevc}


def compared(
    ways: Mapping[str, Callable[[Clip], object]], against: str, clip: Clip, rounds: int, draw: random.Random
) -> dict[str, dict[str, Any]]:
    """Run every way once per round; its runs, and how many times as fast ``against`` was."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number, name in in_rounds(ways, rounds, draw):
        print(f"round {number} of {rounds}: {name}", flush=True)
        runs[name].append(timed(ways[name], clip))
    rows = {}
    for name, own_runs in runs.items():
        ratios = [own["wall_s"] / one["wall_s"] for own, one in zip(own_runs, runs[against], strict=True)]
        rows[name] = {
            "source_frames_per_s": clip.frames / statistics.median(run["wall_s"] for run in own_runs),
            "cpu_s": statistics.median(run["cpu_s"] for run in own_runs),
            "wall_s": statistics.median(run["wall_s"] for run in own_runs),
            "ours_is_faster": statistics.median(ratios),
            "ours_is_faster_range": [min(ratios), max(ratios)],
            "runs": own_runs,
        }
    return rows


def measure(clip: Clip, rounds: int, draw: random.Random) -> dict[str, Any]:
    """Time every decoder and every option, after one run of each that is not timed.

    In that first run, the decoders' frames are compared with those of the reference pass.
    """
    expected = np.concatenate(one_ffmpeg(clip))
    frames = {name: sameness(np.concatenate(decode(clip)), expected) for name, decode in DECODERS.items()}
    rows = compared(DECODERS, OURS, clip, rounds, draw)
    for name, row in rows.items():
        row["frames"] = frames[name]
    for decode in OPTIONS.values():
        decode(clip)
    options = compared(OPTIONS, DEFAULT, clip, rounds, draw)
    return {"source_frames": clip.frames, "sampled": len(clip.pts), "rows": rows, "options": options}


def main() -> None:
    """Measure both codecs and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gop", type=float, default=2.0, help="seconds from one keyframe to the next")
    options = parser.parse_args()
    result: dict[str, Any] = {
        **conditions(),
        "ffmpeg": ffmpeg_version(ffmpeg_path()),
        "decoders": {name: version(name) for name in ("av", "opencv-python-headless", "torchcodec")},
        "rounds": options.rounds,
        "gop_s": options.gop,
    }
    draw = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="vbench-study-") as folder:
        for codec, path in make_clips(Path(folder), options.gop).items():
            print(f"measuring {codec}", flush=True)
            result[codec] = measure(Clip(path), options.rounds, draw)
            for name, row in (result[codec]["rows"] | result[codec]["options"]).items():
                print(
                    f"  {name:<37} {row['source_frames_per_s']:6.0f} source frames/s"
                    f"  {row['cpu_s']:5.2f} CPU s  vbench is {row['ours_is_faster']:.2f} times as fast"
                    f"  {row.get('frames', '')}",
                    flush=True,
                )
    write_result(HERE / "result.json", result)


if __name__ == "__main__":
    main()
