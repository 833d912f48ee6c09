"""A run goes on when nobody reads what it prints."""

import os
import subprocess
import sys

SAYS = """
import sys
from vbench.display import Display
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
