"""Runs one step of the load process, and reports its end as an event."""

import contextlib
import traceback
from collections.abc import Callable

from vbench.config.transfer import TRANSFER
from vbench.config.workload import APP, workload_of
from vbench.errors import InputError, TrialError, VbenchError, first_line
from vbench.load.disk_room import disk_full_message, is_disk_full
from vbench.load.events import emit
from vbench.load.spec import LoadSpec


def run_step(step: str, job: LoadSpec, finish: Callable[[], None] = lambda: None) -> int:
    """Run ``prepare`` or ``drive``, then ``finish``; the exit status.

    The harness gets the outcome as an event; a traceback goes to standard error.
    """
    try:
        if step == "prepare":
            from vbench.load.prepare import prepare

            prepare(job)
        else:
            _drive(job)
        finish()
        emit({"event": "done"})
    except VbenchError as error:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        if is_disk_full(error):
            error = TrialError(disk_full_message(error))
        emit({"event": "failed", "message": str(error), "bad_input": isinstance(error, InputError)})
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - any error must be reported to the harness
        with contextlib.suppress(OSError):
            traceback.print_exc()
        message = (
            disk_full_message(error)
            if is_disk_full(error)
            else f"{type(error).__name__}: {first_line(error)}"
        )
        emit({"event": "failed", "message": message, "bad_input": False})
        return 1
    return 0


def _drive(job: LoadSpec) -> None:
    """Run the workload; each is imported only for its own trials."""
    workload = workload_of(job.config)
    if workload == TRANSFER:
        from vbench.load import transfer_load

        transfer_load.drive(job)
    elif workload == APP:
        from vbench.load import app_load

        app_load.drive(job)
    else:
        from vbench.load import video_load

        video_load.drive(job)
