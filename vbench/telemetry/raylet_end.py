"""Reports that a raylet has ended if something fails that needs it, such as its files in ``/proc``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vbench.errors import SEE_RAY_LOG, TrialError
from vbench.linux import procfs


@contextmanager
def raylet_end_reported(raylets: Mapping[str, int]) -> Iterator[None]:
    """If the block fails after a raylet has ended, raise a TrialError that says so, from what the block
    raised. ``raylets``: node -> process id."""
    try:
        yield
    except TrialError:
        raise
    except Exception as error:
        ended = [node for node, pid in raylets.items() if _has_ended(pid)]
        if not ended:
            raise
        raise TrialError(
            f"the raylet on {', '.join(ended)} exited during the trial; {SEE_RAY_LOG}"
        ) from error


def _has_ended(pid: int) -> bool:
    line = procfs.stat(pid)
    return line is None or line.has_ended
