"""Runs a step of the load process: shows its progress, and raises an error if it fails."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

from vbench.config.arrivals import due_times_s, is_open
from vbench.config.interpreter import executable_of
from vbench.config.schema import Config
from vbench.errors import InputError, TrialError
from vbench.linux.guard import GRACE_S, supervised
from vbench.load.spec import LoadSpec, write_spec
from vbench.run.progress import Display

LOAD_LOG = "load.log"

PREPARE_SILENCE_S = 3600.0
"""The reference pass of a long video reports progress once per batch of frames."""


OUT_OF_MEMORY = (
    ". Most likely the machine or its container ran out of memory (dmesg would say so): lower"
    " load.concurrency, pipeline.window or cluster.nodes.*.object_store_mb, or use a machine with more memory"
)
"""The hint for a process that was killed: what most often does that is the kernel, when memory runs out."""


def run_load_step(
    step: str,
    spec: LoadSpec,
    env: Mapping[str, str],
    display: Display,
    *,
    enter: Sequence[str] = (),
    grace_s: float = GRACE_S,
    sample_machine: Callable[[], None] | None = None,
    begin_events: Callable[[float], None] | None = None,
) -> None:
    """Run one step of the load process until it reports that it is done, and show its progress.

    The process is ended as soon as it is done: it need not tear down what it has imported.

    Args:
        step: ``prepare`` or ``drive``.
        spec: what it does.
        env: its environment variables.
        display: shows its progress.
        enter: the start of its command, if it runs on a host of its own.
        grace_s: seconds that it has to end after it is told to.
        sample_machine: takes a sample of the machine, which the step ``drive`` asks for.
        begin_events: is told when the measured phase of the step ``drive`` began, in monotonic seconds.

    Raises:
        InputError: it cannot use what the trial was given.
        TrialError: it failed, ended or was silent for too long.
    """
    # The reference is the same for all arms, whatever they run on.
    python = executable_of(spec.config.runtime) if spec.endpoint else sys.executable
    command = [*enter, python, "-m", "vbench.load", step, str(write_spec(spec))]
    log = spec.folder / LOAD_LOG
    silence_s = _longest_silence_s(step, spec.config)
    with (
        log.open("ab") as errors,
        supervised(command, env=env, grace_s=grace_s, stdout=subprocess.PIPE, stderr=errors) as process,
    ):
        assert process.guard.stdout is not None
        for line in _lines(process.guard.stdout, silence_s, step, log):
            try:
                event = json.loads(line)
            except ValueError:
                errors.write(line)
                continue
            if event["event"] == "progress":
                display.phase(event["phase"], event["done"], event["total"], event["note"])
            elif event["event"] == "sample":
                assert sample_machine is not None, "only a load that drives asks for samples"
                sample_machine()
            elif event["event"] == "measuring":
                if begin_events is not None:
                    begin_events(event["at_s"])
            elif event["event"] == "note":
                display.say(f"vbench: {event['message']}", style="yellow")
            elif event["event"] == "done":
                return
            else:
                kind = InputError if event["bad_input"] else TrialError
                raise kind(event["message"])
        status = process.guard.wait()
    number = -status if status < 0 else status - 128
    how = f"was ended by signal {number}" if number > 0 else f"ended with status {status}"
    hint = OUT_OF_MEMORY if number == signal.SIGKILL else ""
    raise TrialError(f"the load process {how} in its step '{step}'; see {log}{hint}")


def _longest_silence_s(step: str, config: Config) -> float:
    """The longest that a healthy load process is silent: whatever it waits for has a deadline of its own."""
    if step == "prepare":
        return PREPARE_SILENCE_S
    inside = (config.cluster.start_timeout_s, config.cluster.deploy_timeout_s, config.load.timeout_s)
    return max(inside) + _longest_gap_s(config) + 60


def _longest_gap_s(config: Config) -> float:
    """The longest time in which an open load plans no request; 0 for a closed loop."""
    if not is_open(config.load):
        return 0.0
    due_s = due_times_s(config.load, config.block)
    return max((after - before for before, after in pairwise(due_s)), default=0.0)


def _lines(pipe: IO[bytes], silence_s: float, step: str, log: Path) -> Iterator[bytes]:
    """Lines from a pipe until its end; TrialError if none comes for ``silence_s``."""
    buffer = b""
    while True:
        if not select.select([pipe], [], [], silence_s)[0]:
            raise TrialError(
                f"the load process reported nothing for {silence_s:g} s in its step '{step}' and was ended;"
                f" see {log}, and raise load.timeout_s if a request really takes that long"
            )
        data = os.read(pipe.fileno(), 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        yield from (line + b"\n" for line in lines)
