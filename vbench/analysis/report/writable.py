"""Writing a comparison: what cannot be written is said in one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.errors import ConfigError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """ConfigError that names the path where what the block does cannot be written."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path} cannot be written to ({reason}); give another folder by --out") from error
