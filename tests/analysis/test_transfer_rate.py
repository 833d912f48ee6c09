"""Transfer rate by connections a transfer of objects: its rate against the caps of flows and NIC."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support import records, sweeps
from vbench.analysis import PAGE
from vbench.analysis.comparison_file import DATA
from vbench.cli.compare import main

PNG = b"\x89PNG\r\n\x1a\n"


def transfers(tmp_path: Path, *counts: str) -> Path:
    """Two blocks of objects moved from decode to gpu, over connections of 100 Mbit/s and a NIC of 250."""

    def config(settings: Mapping[str, str], block: int) -> dict[str, Any]:
        number = f"runtime.connections={settings['runtime.connections']}"
        return asdict(records.config("cluster=emulated", "load=transfer", number))

    def metrics(settings: Mapping[str, str], block: int) -> dict[str, float]:
        rate = min(float(settings["runtime.connections"]) * 100, 250) * 0.93 - block
        return {"latency_mean_s": 10.0, "makespan_s": 80.0, "requests": 8.0, "transfer_mbps": rate}

    ends = records.load_report(placement={"Sender": {"decode": 1}, "Receiver": {"gpu": 1}})
    return sweeps.write_sweep(
        tmp_path / "sweep",
        {"runtime.connections": counts},
        2,
        lambda *_: 10.0,
        config=config,
        metrics=metrics,
        clip=lambda *_: None,
        load_report=lambda *_: ends,
    )


def test_what_connections_give_is_drawn_against_the_caps(tmp_path: Path) -> None:
    sweep = transfers(tmp_path, "1", "2", "15")
    assert main([str(sweep)]) == 0
    assert (sweep / "rate.png").read_bytes().startswith(PNG)
    page = (sweep / PAGE).read_text()
    assert "](rate.png)" in page
    assert "| 15 connections | 15 | 232 ± 6 Mbit/s | 250 Mbit/s | 92.8 ± 2.5% | 2 |" in page
    assert "| 1 connection | 1 | 92.5 ± 6.4 Mbit/s | 100 Mbit/s | 92.5 ± 6.4% | 2 |" in page
    arms = json.loads((sweep / DATA).read_text())["scenarios"][0]["arms"]
    assert [arm["transfer_rate"]["cap_mbps"] for arm in arms] == [100, 200, 250]
    assert arms[2]["transfer_rate"]["share_percent"]["value"] == pytest.approx(92.8)
