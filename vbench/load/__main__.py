"""``python -m vbench.load prepare|drive JOB``: one step of a trial, in a process of its own."""

import sys
import traceback
from pathlib import Path

from vbench.errors import InputError, VbenchError
from vbench.load.ends import TRANSFER
from vbench.load.events import emit, open_channel
from vbench.load.job import read_job


def main(arguments: list[str]) -> int:
    """Run the step; what it ends with goes to the harness as an event, the traceback to standard error."""
    open_channel()
    step, job = arguments[0], read_job(Path(arguments[1]))
    try:
        if step == "prepare":
            from vbench.load.prepare import prepare

            prepare(job)
        elif job.config.load.name == TRANSFER:
            from vbench.load.transfer import drive

            drive(job)
        else:
            from vbench.load.drive import drive

            drive(job)
        emit({"event": "done"})
    except VbenchError as error:
        traceback.print_exc()
        emit({"event": "failed", "message": str(error), "bad_input": isinstance(error, InputError)})
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - whatever it is, the harness must hear of it
        traceback.print_exc()
        first = (str(error).strip().splitlines() or ["no reason given"])[0]
        emit({"event": "failed", "message": f"{type(error).__name__}: {first}", "bad_input": False})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
