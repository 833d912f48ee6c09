"""Writing a comparison: a path that cannot be written to becomes an error of one sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vbench.errors import ConfigError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise ConfigError that names the path if the block cannot write."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path} cannot be written to ({reason}); give another folder by --out") from error
