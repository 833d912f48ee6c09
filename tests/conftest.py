"""Options of the whole suite."""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

# The tests start some thousand Python processes: they compile the code once, not each for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How long an example takes says how loaded the machine is. Where changes are judged each run tries the same
# examples, elsewhere new ones.
settings.register_profile(
    "vbench", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("vbench")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-phase",
        action="store_true",
        help="kill each process of an emulated trial in each phase instead of the chosen ones",
    )


LONGEST = (
    "test_emulated_interrupts",
    "test_interference",
    "test_attached",
    "test_sabotage",
    "test_interrupts",
    "test_pipeline_parity",
    "test_emulated_run",
    "test_sweep_runs",
    "test_whole_runs",
)
"""Files of slow tests that take minutes, the longest first: what is begun last keeps one process busy while
the others have nothing left to do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def pytest_configure() -> None:
    """In the background of a shell Ctrl-C is ignored, and would be by all that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
