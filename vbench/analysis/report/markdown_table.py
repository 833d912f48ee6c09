"""Tables in Markdown."""

from collections.abc import Iterator, Sequence

RULER = {"l": "---", "r": "--:"}


def head(names: Sequence[str], align: str) -> Iterator[str]:
    """The first two lines of a table; ``align`` is ``l`` or ``r`` per column, its last letter for those
    beyond."""
    yield row(*names)
    letters = align + align[-1] * len(names)
    yield "|" + "|".join(RULER[letters[column]] for column in range(len(names))) + "|"


def row(*cells: str) -> str:
    """One line of a table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
