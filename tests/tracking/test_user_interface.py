"""In MLflow's own UI, in a real browser, the trials of a sweep are selected and compared.

The screenshots are kept under ``outputs/mlflow_ui/``.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.support import sweeps
from vbench.record.files import DATABASE
from vbench.tracking.mlflow import Tracker

SCREENSHOTS = Path(__file__).resolve().parents[2] / "outputs" / "mlflow_ui"

DEADLINE_S = 120
"""For the server to be up, and for any page to show what it should."""

SHOWN = ("mode", "runtime", "connections", "block")
"""Parameters in the table's columns."""

LATENCY_S = {("chunked", "oss"): 90.0, ("chunked", "anyscale"): 66.0}
LATENCY_S |= {("combined", "oss"): 94.0, ("combined", "anyscale"): 68.0}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks of the published table, logged as at the end of each trial."""
    folder = tmp_path_factory.mktemp("ui")
    sweeps.write_sweep(
        folder / "sweep",
        {"mode": ["chunked", "combined"], "runtime": ["oss", "anyscale"]},
        2,
        lambda settings, block: LATENCY_S[settings["mode"], settings["runtime"]] + block,
    )
    tracker = Tracker(folder, "vbench")
    for number in range(8):
        tracker.log(folder / "sweep" / str(number))
    return folder


@pytest.fixture(scope="module")
def server(outputs: Path) -> Iterator[str]:
    """MLflow's server on the database; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{outputs / DATABASE}"]
    # Its queue of jobs would stay in /dev/shm.
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = outputs / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, env=env, stdout=file, stderr=file, start_new_session=True)
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not _healthy(url):
                assert process.poll() is None, f"MLflow's server ended:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"MLflow's server is not up:\n{log.read_text()}"
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(timeout=20)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "this test drives a browser: install Debian's (apt-get install chromium)"
    with sync_playwright() as playwright:
        # Containers often lack what its sandbox needs, and have a small /dev/shm.
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            made = browser.new_page(viewport={"width": 1900, "height": 1900})
            made.set_default_timeout(1000 * DEADLINE_S)
            expect.set_options(timeout=1000 * DEADLINE_S)
            yield made
        finally:
            browser.close()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_trials_of_a_sweep_are_selected_and_compared(server: str, outputs: Path, page: Page) -> None:
    page.goto(f"{server}/{Tracker(outputs, 'vbench').runs_page}")

    expect(page.get_by_text("8 matching runs")).to_be_visible()
    # The grid has its cells before they are filled in, and no waiting is done where they are read.
    for column in ("metrics.`latency_mean_s`", *(f"params.`{name}`" for name in SHOWN)):
        expect(_cells(page, column)).to_have_text([re.compile(r"\S")] * 8)
    rows = set(
        zip(
            *(_cells(page, f"params.`{name}`").all_inner_texts() for name in SHOWN),
            [round(float(each)) for each in _cells(page, "metrics.`latency_mean_s`").all_inner_texts()],
            strict=True,
        )
    )
    connections = {"oss": "2", "anyscale": "15"}
    assert rows == {
        (mode, runtime, connections[runtime], str(block), round(latency_s + block))
        for (mode, runtime), latency_s in LATENCY_S.items()
        for block in (0, 1)
    }
    page.screenshot(path=SCREENSHOTS / "trials.png")

    names = [f"mode=chunked runtime={runtime}" for runtime in ("oss", "anyscale")]
    for name in names:
        row = page.get_by_role("row").filter(has_text=name).first
        row.get_by_role("checkbox").first.click()
    page.get_by_role("button", name="Compare", exact=True).click()

    expect(page.get_by_text("Comparing 2 Runs from 1 Experiment")).to_be_visible()
    for name, values in (
        ("mode", {"chunked"}),
        ("runtime", {"oss", "anyscale"}),
        ("connections", {"2", "15"}),
    ):
        row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
        expect(row.get_by_role("cell")).to_have_text([re.compile(r"\S")] * 2)
        assert set(row.get_by_role("cell").all_inner_texts()) == values
    for number in range(3):
        page.get_by_text("Show diff only").nth(number).click()
    old, new = sorted(_compared_metrics(page)["latency_mean_s"], reverse=True)
    assert round(old) in (90, 91)
    assert round(new) in (66, 67)
    page.get_by_text("Run details").scroll_into_view_if_needed()
    page.screenshot(path=SCREENSHOTS / "compared.png")


def _cells(page: Page, column: str) -> Locator:
    """A column of the table of runs, without its head."""
    return page.locator(f"[role=gridcell][col-id='{column}']")


def _compared_metrics(page: Page) -> dict[str, tuple[float, float]]:
    """Name -> values of both runs. The page has a column of names, and beside it the rows of values."""
    text = page.locator("body").inner_text()
    lines = text.rpartition("\nMetrics\nShow diff only\n")[2].partition("\nArtifacts\n")[0].split()
    names = [line for line in lines if line[0].isalpha()]
    values = [float(line) for line in lines[len(names) :]]
    return dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True))
