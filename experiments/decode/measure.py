"""Who decodes sampled video fastest on the same cores: ``python experiments/decode/measure.py`` (8 min).

Needs the packages of the extra ``benchmark`` and, for torchcodec, FFmpeg's shared libraries
(``apt-get install ffmpeg``). Nothing else may run meanwhile. Every decoder hands out the same sampled frames
as full-size RGB arrays, by all cores of the machine; in each round each runs once, in random order. The raw
values are written to ``result.json`` beside this file; README.md quotes it.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from torchcodec.decoders import VideoDecoder

from vbench import environment
from vbench.sizing import machine_cpus
from vbench.video.ffmpeg import ffmpeg_path, ffmpeg_version
from vbench.video.frames import decode_chunk, decode_video
from vbench.video.probe import read_index
from vbench.video.scene import ensure_clip
from vbench.video.scene_settings import SceneSettings
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry

HERE = Path(__file__).resolve().parent
FPS = Fraction(1)
CHUNK_S = Fraction(5)
LONGEST_S = 300.0
LOOPS = 3
UNIQUE_S = 10

Pixels = npt.NDArray[np.uint8]
"""uint8[K, H, W, 3] RGB: the sampled frames in order."""


class Clip:
    """A clip, and what any decoder needs to know to hand out its sampled frames."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info, index = read_index(path)
        self.pts = index.targets(self.info, FPS)
        shown = index.shown_pts()
        self.numbers = np.searchsorted(shown, self.pts).tolist()
        """Of the sampled frames, among those shown."""
        self.frames = len(shown)

    def empty(self) -> Pixels:
        return np.empty((len(self.pts), self.info.height, self.info.width, 3), np.uint8)


def pruned(clip: Clip, *, prune: bool = True) -> Pixels:
    """vbench's own: chunks split once, decoded side by side by one thread of FFmpeg each."""
    lock = threading.Lock()
    parts: dict[int, Pixels] = {}
    with Splitter(clip.path, fps=FPS, chunk_s=CHUNK_S, prune=prune) as splitter:
        geometry = FrameGeometry.native(splitter.info)
        chunks = iter(splitter)

        def work() -> None:
            while True:
                with lock:
                    chunk = next(chunks, None)
                if chunk is None:
                    return
                parts[chunk.index] = decode_chunk(chunk, geometry, threads=1, timeout_s=LONGEST_S).pixels

        with ThreadPoolExecutor(machine_cpus()) as pool:
            for each in [pool.submit(work) for _ in range(machine_cpus())]:
                each.result()
    return np.concatenate([parts[number] for number in sorted(parts)])


def whole_chunks(clip: Clip) -> Pixels:
    """The same without leaving any picture out."""
    return pruned(clip, prune=False)


def one_ffmpeg(clip: Clip) -> Pixels:
    """One FFmpeg over the file with a thread a core, which selects the frames by their time stamps."""
    passes = decode_video(clip.path, fps=FPS, threads=machine_cpus(), timeout_s=LONGEST_S, batch_frames=9999)
    return np.concatenate([frames.pixels for frames in passes])


def ffmpeg_fps_filter(clip: Clip) -> Pixels:
    """What is usually typed: ``ffmpeg -i FILE -vf fps=1``."""
    plain = ["-i", str(clip.path), "-vf", "fps=1", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]
    done = subprocess.run(
        [ffmpeg_path(), "-v", "error", "-nostdin", *plain],
        capture_output=True,
        timeout=LONGEST_S,
        check=True,
    )
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *clip.empty().shape[1:])


def opencv(clip: Clip) -> Pixels:
    """OpenCV: every frame grabbed, the sampled ones retrieved."""
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
    return pixels[:taken]


def pyav(clip: Clip) -> Pixels:
    """PyAV with frame threads: every frame decoded, the sampled ones converted."""
    pixels, wanted = clip.empty(), set(clip.pts.tolist())
    taken = 0
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.thread_count = machine_cpus()
        for frame in container.decode(stream):
            if frame.pts in wanted:
                pixels[taken] = frame.to_ndarray(format="rgb24")
                taken += 1
    return pixels[:taken]


def torchcodec(clip: Clip) -> Pixels:
    """torchcodec in its exact mode, frames asked for by number."""
    decoder = VideoDecoder(
        str(clip.path),
        num_ffmpeg_threads=machine_cpus(),
        seek_mode="exact",
        dimension_order="NHWC",
    )
    pixels: Pixels = decoder.get_frames_at(clip.numbers).data.numpy()
    return pixels


DECODERS: dict[str, Callable[[Clip], Pixels]] = {
    "vbench, pruned": pruned,
    "vbench, whole chunks": whole_chunks,
    "ffmpeg, select": one_ffmpeg,
    "ffmpeg, fps=1": ffmpeg_fps_filter,
    "OpenCV": opencv,
    "PyAV": pyav,
    "torchcodec": torchcodec,
}
OURS = "vbench, pruned"


def sameness(got: Pixels, expected: Pixels) -> str:
    """How the frames of a decoder compare with those of the reference pass."""
    if got.shape != expected.shape:
        return f"{len(got)} of {len(expected)} frames"
    if np.array_equal(got, expected):
        return "identical"
    means = [float(np.abs(a.astype(np.int16) - b).mean()) for a, b in zip(got, expected, strict=True)]
    others = sum(mean > 3 for mean in means)
    if others:
        return f"{others} of {len(expected)} are other frames"
    return f"same frames, RGB rounded otherwise (mean difference {max(means):.2f} of 255)"


def timed(decode: Callable[[Clip], Pixels], clip: Clip) -> dict[str, float]:
    """Wall and CPU seconds of one run, FFmpeg's included."""
    before, began = os.times(), time.monotonic()
    decode(clip)
    wall_s, after = time.monotonic() - began, os.times()
    return {"wall_s": wall_s, "cpu_s": sum(after[:4]) - sum(before[:4])}


def make_clips(folder: Path, gop_s: float) -> dict[str, Path]:
    """30 s of textured 1080p30, as H.264 and the same pictures as HEVC."""
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


def measure(clip: Clip, rounds: int, draw: random.Random) -> dict[str, Any]:
    """Every decoder once a round, after a run of each that is not timed and whose frames are looked at."""
    expected = one_ffmpeg(clip)
    frames = {name: sameness(decode(clip), expected) for name, decode in DECODERS.items()}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in DECODERS}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", flush=True)
        for name in draw.sample(list(DECODERS), len(DECODERS)):
            runs[name].append(timed(DECODERS[name], clip))
    rows = {}
    for name, each in runs.items():
        ratios = [own["wall_s"] / ours["wall_s"] for own, ours in zip(each, runs[OURS], strict=True)]
        rows[name] = {
            "source_frames_per_s": clip.frames / statistics.median(run["wall_s"] for run in each),
            "cpu_s": statistics.median(run["cpu_s"] for run in each),
            "wall_s": statistics.median(run["wall_s"] for run in each),
            "ours_is_faster": statistics.median(ratios),
            "ours_is_faster_range": [min(ratios), max(ratios)],
            "frames": frames[name],
            "runs": each,
        }
    return {"source_frames": clip.frames, "sampled": len(clip.pts), "rows": rows}


def main() -> None:
    """Measure both codecs and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gop", type=float, default=2.0, help="seconds from one keyframe to the next")
    options = parser.parse_args()
    result: dict[str, Any] = {
        "environment": environment.describe(),
        "taken": environment.now(),
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
            for name, row in result[codec]["rows"].items():
                print(
                    f"  {name:<22} {row['source_frames_per_s']:6.0f} source frames/s"
                    f"  {row['cpu_s']:5.2f} CPU s  ours is {row['ours_is_faster']:.2f} times as fast"
                    f"  {row['frames']}",
                    flush=True,
                )
    (HERE / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
