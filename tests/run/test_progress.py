"""A run goes on when nobody reads what it prints."""

import io
import os
import subprocess
import sys
from types import FrameType
from typing import Any

from rich.console import Console

from vbench.run.progress import Display

SAYS = """
import sys
from vbench.run.progress import Display
display = Display()
sys.stdin.readline()
for i in range(2000):
    display.say(f"line {i} " + 80 * "x")
print("went on", file=sys.stderr)
"""


def test_a_pipe_that_is_closed_does_not_end_it() -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", SAYS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdin is not None
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    run.stdin.write("go\n")
    run.stdin.close()
    assert run.stderr.read() == "went on\n"
    assert run.wait(timeout=60) == 0


def test_a_terminal_that_is_closed_does_not_end_it() -> None:
    master, slave = os.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", SAYS], stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.PIPE, text=True
    )
    os.close(slave)
    os.close(master)
    assert run.stdin is not None
    assert run.stderr is not None
    run.stdin.write("go\n")
    run.stdin.close()
    assert run.stderr.read() == "went on\n"
    assert run.wait(timeout=60) == 0


def test_streams_that_were_closed_beforehand_are_no_error() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m vbench runtime=nonsense <&- >&-', sys.executable],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("vbench: runtime=nonsense does not exist")


def interrupted_at(step: int) -> bool:
    """Show two phases, with an interrupt at this line of what changes them; whether there are so many."""
    seen = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal seen
        if frame.f_code.co_name not in ("phase", "_show", "_finish", "add_task"):
            return None
        if event == "line":
            seen += 1
            if seen == step:
                raise KeyboardInterrupt
        return trace

    display = Display()
    display.console = Console(file=io.StringIO(), force_terminal=True)
    before = sys.gettrace()
    try:
        with display.running():
            sys.settrace(trace)
            display.phase("first", 0, 2)
            display.phase("second", 1, 2)
            sys.settrace(before)
    finally:
        sys.settrace(before)
    return seen >= step


def test_an_interrupt_at_any_step_of_the_display_stays_an_interrupt() -> None:
    step = 1
    while True:
        try:
            assert not interrupted_at(step)
        except KeyboardInterrupt:
            step += 1
        else:
            break
    assert step > 20
