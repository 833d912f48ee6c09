"""``vbench request URL VIDEO``: sends one video to a running service and prints the detections."""

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table

from vbench.pipeline.api_schema import PATH, Answer, FrameAnswer
from vbench.pipeline.spans import KINDS, STAGES

FRAMES_SHOWN = 5
DETECTIONS_SHOWN = 10
CONNECT_TIMEOUT_S = 10.0


class RequestFailedError(RuntimeError):
    """The service sent no response; the message says why."""


def post(url: str, body: dict[str, str], timeout_s: float) -> str:
    """POST ``body`` to the service at ``url``; the response as JSON text, or RequestFailedError."""
    try:
        with requests.Session() as session:
            # No proxy that the environment names may stand between the client and a loopback address.
            session.trust_env = False
            response = session.post(url.rstrip("/") + PATH, json=body, timeout=(CONNECT_TIMEOUT_S, timeout_s))
    except requests.ConnectionError as error:
        if "Failed to establish" not in str(error):
            raise RequestFailedError(f"the connection to {url} was lost: {error}") from error
        raise RequestFailedError(
            f"no service listens at {url}: start one with 'serve run vbench.pipeline:build'"
        ) from error
    except requests.Timeout as error:
        raise RequestFailedError(
            f"no response from {url} within {timeout_s:g} s: allow more time with --timeout-s"
        ) from error
    except requests.RequestException as error:
        raise RequestFailedError(f"the request to {url} failed: {error}") from error
    if response.status_code != 200:
        raise RequestFailedError(f"HTTP {response.status_code}: {_reason(response)}")
    return response.text


def _reason(response: requests.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        lines = response.text.strip().splitlines()
        return lines[0][:300] if lines else "no reason given"
    return str(detail)


def show(answer: Answer, console: Console) -> None:
    """Print the detections and the time of each stage."""
    video, settings, counts = answer.video, answer.settings, answer.counts
    console.print(f"{video.path}: {video.width} x {video.height} {video.codec}, {video.duration_s:.1f} s")
    console.print(
        f"{settings.mode}, {settings.fps} frames/s, {settings.handoff}, model {settings.model}: "
        f"{counts.frames} frames of {settings.frame_width} x {settings.frame_height} in "
        f"{counts.chunks} chunks, {counts.detections} detections, "
        f"in {answer.finished_s - answer.received_s:.2f} s"
    )
    if counts.by_class:
        console.print("  ".join(f"{name} {count}" for name, count in counts.by_class.items()))
    frames = (frame for chunk in answer.chunks for frame in chunk.frames)
    console.print(_detections_table(list(islice(frames, FRAMES_SHOWN)), counts.frames))
    console.print(_stages_table(answer))
    console.print(f"digest of all frames: {answer.digest}")


def _detections_table(frames: Sequence[FrameAnswer], total: int) -> Table:
    table = Table(title=f"Detections in the first {len(frames)} of {total} frames", title_justify="left")
    table.add_column("time, s", justify="right")
    table.add_column("class")
    table.add_column("score", justify="right")
    table.add_column("x1, y1, x2, y2, pixels", justify="right")
    for frame in frames:
        if not frame.detections:
            table.add_row(f"{frame.time_s:.3f}", "nothing", "", "")
        for nth, detection in enumerate(frame.detections[:DETECTIONS_SHOWN]):
            time_s = "" if nth else f"{frame.time_s:.3f}"
            box = ", ".join(f"{edge:.0f}" for edge in detection.box)
            table.add_row(time_s, detection.class_name, f"{detection.score:.2f}", box)
        if len(frame.detections) > DETECTIONS_SHOWN:
            table.add_row("", f"and {len(frame.detections) - DETECTIONS_SHOWN} more", "", "")
        table.add_section()
    return table


def _stages_table(answer: Answer) -> Table:
    sums_s: dict[tuple[str, str], float] = defaultdict(float)
    moved: dict[str, int] = defaultdict(int)
    for span in answer.spans:
        sums_s[span.stage, span.kind] += span.end_s - span.start_s
        moved[span.stage] += span.bytes
    table = Table(title="Seconds by stage, summed over chunks (they overlap)", title_justify="left")
    table.add_column("stage")
    for kind in KINDS:
        table.add_column(kind, justify="right")
    table.add_column("handed over, MB", justify="right")
    for stage in STAGES:
        seconds = [f"{sums_s[stage, kind]:.3f}" if (stage, kind) in sums_s else "" for kind in KINDS]
        table.add_row(stage, *seconds, f"{moved[stage] / 1e6:.1f}" if moved[stage] else "")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the request and print the response; exit status 1, with a sentence on stderr, if there is none."""
    parser = argparse.ArgumentParser(prog="vbench request", description=__doc__)
    parser.add_argument("url", help="address of the service, such as http://127.0.0.1:8000")
    parser.add_argument(
        "video", help="path of a video file as the service sees it, or an address that it may fetch"
    )
    parser.add_argument("--mode", choices=["chunked", "combined"], help="default: as deployed")
    parser.add_argument(
        "--fps", help="frames sampled per second, such as 1 or 30000/1001; default: as deployed"
    )
    parser.add_argument("--chunk-s", help="seconds of video per chunk; default: as deployed")
    parser.add_argument(
        "--timeout-s",
        type=float,
        default=3600.0,
        help="longest wait for the response, in seconds; default: 3600",
    )
    parser.add_argument("--json", action="store_true", help="print the response as it is")
    options = parser.parse_args(arguments)
    is_uri = "://" in options.video
    body = {"video": options.video if is_uri else str(Path(options.video).absolute())}
    body |= {
        name: value for name in ("mode", "fps", "chunk_s") if (value := getattr(options, name)) is not None
    }
    try:
        text = post(options.url, body, options.timeout_s)
    except RequestFailedError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(text)
    else:
        show(Answer.model_validate_json(text), Console(markup=False, highlight=False))
    return 0
