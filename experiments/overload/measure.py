"""Measures goodput with too many clients: ``python experiments/overload/measure.py`` (4 min).

The service runs alone on a Ray cluster of one node, with room for 4 requests at a time, on a short clip.
Closed loops of 50 and 300 clients are compared with 4 clients, which are measured before and after each.
Impatient clients give up after 1 s and send the next request at once. All clients wait as long as
``Retry-After`` says, except rude ones, which try again after 0.1 s. Nothing else may run meanwhile. Writes
raw values to ``result.json`` next to this file (or to ``--out``), which README.md quotes.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments.lib.results import conditions, write_result
from vbench.linux.ports import free_ports
from vbench.pipeline import build, front
from vbench.pipeline.api_schema import PATH
from vbench.pipeline.config import PipelineArgs
from vbench.video.scene import SceneSettings, ensure_clip

HERE = Path(__file__).resolve().parent
SCENE = SceneSettings(width=480, height=360, fps="10", length_s=1, unique_s=1, gop_s=1, objects=5)
ROOM = 4
"""Requests that the service processes at a time, and number of clients at the peak."""
PATIENCE_S = 1.0
RUDE_S = 0.1
RAMP_S = 4.0
CELLS = ((50, "patient"), (50, "impatient"), (300, "patient"), (300, "impatient"), (300, "rude"))


@dataclass(slots=True)
class Cell:
    """The outcomes of a number of clients over the measured time."""

    clients: int
    behaviour: str
    seconds: float
    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Successful responses per second."""
        return self.outcomes["200"] / self.seconds

    def plain(self) -> dict[str, Any]:
        return {
            "clients": self.clients,
            "behaviour": self.behaviour,
            "seconds": self.seconds,
            "goodput_per_s": round(self.goodput, 3),
            "outcomes": dict(sorted(self.outcomes.items())),
            "latency_s": _quantiles(self.latencies_s),
        }


def _quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100)
    return {name: round(cuts[at], 3) for name, at in (("p50", 49), ("p90", 89), ("p99", 98))}


async def ask(port: int, body: bytes) -> tuple[str, float]:
    """Send one request over a new connection; its status and the seconds of ``Retry-After`` (or 0)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        await reader.read()
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return lines[0].split()[1], float(headers.get("retry-after", 0))
    finally:
        writer.close()


async def client(port: int, body: bytes, cell: Cell, begin_s: float, end_s: float) -> None:
    """A closed loop until ``end_s``; requests that end after ``begin_s`` count."""
    patience_s = PATIENCE_S if cell.behaviour == "impatient" else 120.0
    while time.monotonic() < end_s:
        sent_s = time.monotonic()
        retry_s = 0.0
        try:
            outcome, retry_s = await asyncio.wait_for(ask(port, body), patience_s)
        except TimeoutError:
            outcome = "gave up"
        except (OSError, EOFError) as error:
            outcome, retry_s = type(error).__name__, RUDE_S
        now_s = time.monotonic()
        if begin_s <= now_s < end_s:
            cell.outcomes[outcome] += 1
            if outcome == "200":
                cell.latencies_s.append(now_s - sent_s)
        if retry_s:
            await asyncio.sleep(RUDE_S if cell.behaviour == "rude" else retry_s)


async def drive(port: int, body: bytes, clients: int, behaviour: str, seconds: float) -> Cell:
    """Run all clients concurrently; those still waiting at the end leave."""
    cell = Cell(clients, behaviour, seconds)
    begin_s = time.monotonic() + RAMP_S
    tasks = [
        asyncio.ensure_future(client(port, body, cell, begin_s, begin_s + seconds)) for _ in range(clients)
    ]
    await asyncio.sleep(RAMP_S + seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(f"{clients} {behaviour} clients: {cell.goodput:.2f} responses/s", flush=True)
    return cell


async def settled(port: int, body: bytes) -> None:
    """Wait until a request succeeds again."""
    deadline_s = time.monotonic() + 60
    while (await ask(port, body))[0] != "200":
        if time.monotonic() > deadline_s:
            raise SystemExit("the service did not recover within 60 s")
        await asyncio.sleep(0.2)


async def measure(port: int, body: bytes, cell_s: float) -> tuple[list[Cell], list[Cell]]:
    """Measure the peak before the first cell and after each cell, half as long as a cell; peaks and cells."""
    peak_s = cell_s / 2
    await drive(port, body, ROOM, "patient", peak_s)  # to warm up
    peaks, cells = [await drive(port, body, ROOM, "patient", peak_s)], []
    for clients, behaviour in CELLS:
        cells.append(await drive(port, body, clients, behaviour, cell_s))
        await settled(port, body)
        peaks.append(await drive(port, body, ROOM, "patient", peak_s))
    return peaks, cells


def show(peaks: list[Cell], cells: list[Cell]) -> list[float]:
    """Print the table; returns each cell's share of the peak, which is the mean before and after it."""
    table = Table(title=f"Goodput with room for {ROOM} requests at a time")
    for column in (
        "clients",
        "behaviour",
        "responses/s",
        "peak",
        "share",
        "503/s",
        "given up/s",
        "p50",
        "p99",
    ):
        table.add_column(column, justify="left" if column == "behaviour" else "right")
    shares = []
    for number, cell in enumerate(cells):
        peak = (peaks[number].goodput + peaks[number + 1].goodput) / 2
        shares.append(cell.goodput / peak)
        quantiles = _quantiles(cell.latencies_s)
        table.add_row(
            str(cell.clients),
            cell.behaviour,
            f"{cell.goodput:.2f}",
            f"{peak:.2f}",
            f"{shares[-1]:.0%}",
            f"{cell.outcomes['503'] / cell.seconds:.1f}",
            f"{cell.outcomes['gave up'] / cell.seconds:.1f}",
            *(f"{quantiles.get(name, float('nan')):.2f} s" for name in ("p50", "p99")),
        )
    Console().print(table)
    return shares


def main() -> None:
    """Start the cluster, measure, stop it, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    parser.add_argument("--seconds", type=float, default=16.0, help="seconds per cell (default: %(default)s)")
    parser.add_argument("--plain-proxy", action="store_true", help="without vbench's middleware")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_AUTH_MODE"] = "disabled"
    (port,) = free_ports("127.0.0.1", 1)
    with tempfile.TemporaryDirectory(prefix="vo", dir="/tmp") as temp:
        clip = ensure_clip(SCENE, Path(temp) / "scene")
        body = json.dumps({"video": str(clip)}).encode()
        args = PipelineArgs(chunk_s=2, fps=2, roots=(str(clip.parent),))
        assert args.requests_at_once == ROOM
        if not options.plain_proxy:
            os.environ.update(front.environment(args.places))
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=temp,
            object_store_memory=300 * 10**6,
        )
        try:
            serve.start(proxy_location="HeadOnly", http_options=HTTPOptions(host="127.0.0.1", port=port))
            serve.run(build(args), name="vbench", route_prefix="/")
            peaks, cells = asyncio.run(measure(port, body, options.seconds))
        finally:
            serve.shutdown()
            ray.shutdown()
    shares = show(peaks, cells)
    result = {
        **conditions(),
        "arguments": args.model_dump(mode="json"),
        "peaks": [peak.plain() for peak in peaks],
        "cells": [
            cell.plain() | {"share_of_peak": round(share, 3)}
            for cell, share in zip(cells, shares, strict=True)
        ],
    }
    write_result(options.out, result)


if __name__ == "__main__":
    main()
