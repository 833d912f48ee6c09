"""Shows the progress of a trial: a live line on a terminal, plain lines otherwise."""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from vbench.linux import standard_streams

PLAIN_EVERY_S = 5.0
"""Shortest time between two progress lines without a terminal."""

PLAIN_WIDTH = 110


class LastingStream:
    """Standard output that may lose its reader: if the terminal or the pipe is closed, the run continues and
    its record is complete."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or discard the text if there is no reader."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or discard the text if there is no reader."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        standard_streams.not_printed.append(error)
        standard_streams.give_up_on(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Display:
    """Shows one phase at a time, and what is printed between them."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        out = cast(IO[str], LastingStream(sys.stdout))
        self.console = Console(file=out, highlight=False, width=None if terminal else PLAIN_WIDTH)
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._phase: str | None = None
        self._said_s = 0.0
        self._began_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show progress while the block runs."""
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.console, transient=True) as live:
            self._live = live
            try:
                yield
            finally:
                self._finish()
                self._live, self._phase = None, None

    def phase(self, name: str, done: int = 0, total: int = 0, note: str = "") -> None:
        """Show how far a phase is; ``total``: 0 if unknown. A new name ends the phase before."""
        count = f"{done}/{total}" if total else ""
        if self._live is not None:
            self._show(name, done, total, count, note)
            return
        now = time.monotonic()
        new = name != self._phase
        if new:
            self._phase, self._began_s = name, now
        if new or now - self._said_s >= PLAIN_EVERY_S or (total and done == total and done > 0):
            self._said_s = now
            parts = [name, count, note, "" if new else f"after {now - self._began_s:.0f} s"]
            self.console.print("  ".join(part for part in parts if part), markup=False)

    def _show(self, name: str, done: int, total: int, count: str, note: str) -> None:
        assert self._live is not None
        if name != self._phase:
            self._finish()
            self._phase, self._began_s = name, time.monotonic()
            self._task = self._live.add_task(name, total=total or None, count=count, note=note)
        assert self._task is not None
        self._live.update(self._task, completed=done, total=total or None, count=count, note=note)

    def _finish(self) -> None:
        """Turn the phase that ended into a line that stays, if one is shown.

        An interrupt may come between any two steps of a phase's change: a task may be gone, or not ours yet.
        """
        assert self._live is not None
        ended, self._task = self._task, None
        task = next((task for task in self._live.tasks if task.id == ended), None)
        if task is None:
            return
        spent = time.monotonic() - self._began_s
        self._live.console.print(
            f"[green]✓[/green] {task.description:<24} {spent:6.1f} s  [dim]{task.fields['note']}[/dim]"
        )
        self._live.remove_task(task.id)

    def say(self, text: str, style: str | None = None) -> None:
        """Print one line that stays."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)


def time_left(took_s: Sequence[float], left: int) -> str:
    """A remark on how long ``left`` trials may take, by the mean of those before; empty without any."""
    if not took_s:
        return ""
    mean_s = statistics.fmean(took_s)
    return f"  [about {duration(mean_s * left)} left, {duration(mean_s)} per trial]"


def duration(seconds: float) -> str:
    """As text: ``45 s``, ``12 min``, ``3 h 05 min``."""
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"
