"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--every-phase",
        action="store_true",
        help="kill each process of an emulated trial in each phase (15 min) instead of the chosen ones",
    )
