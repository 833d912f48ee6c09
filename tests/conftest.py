"""Options of the whole suite."""

import signal

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-phase",
        action="store_true",
        help="kill each process of an emulated trial in each phase (23 min) instead of the chosen ones",
    )


def pytest_configure() -> None:
    """In the background of a shell Ctrl-C is ignored, and would be by all that tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
