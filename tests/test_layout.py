"""The package keeps few entries at its root, and modules that one can look over."""

from pathlib import Path

import vbench

PACKAGE = Path(vbench.__file__).parent
MOST_LINES = 300
MOST_ENTRIES = 18
MARKER = "py.typed"


def test_no_module_is_longer_than_one_can_look_over() -> None:
    lengths = {
        path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert len(lengths) > 100
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_the_root_has_few_entries() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if not path.name.startswith("__pycache__")}
    assert MARKER in entries
    assert len(entries - {MARKER, "conf", "experiments"}) <= MOST_ENTRIES
