"""How a clip of the differential test is made: FFmpeg commands and byte edits, printed as a shell script."""

import hashlib
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.video.differential import edits
from tests.video.differential.edits import EDITS
from vbench.video.ffmpeg.executable import ffmpeg_path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command that writes one file."""

    tool: str
    """``ffmpeg``, or the name of an edit in ``edits.py``."""
    arguments: str
    """Of the tool, as in a shell; ``{0}``, ``{1}`` stand for the inputs' files, ``{log}`` for FFmpeg's log of
    two passes. The output's name is added at the end."""
    suffix: str
    """Of the file, which chooses FFmpeg's muxer."""
    inputs: "tuple[Step, ...]" = ()

    @property
    def name(self) -> str:
        """Name of the file: the same for the same commands."""
        return f"{hashlib.blake2b(repr(self).encode(), digest_size=8).hexdigest()}.{self.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip, and what is known of it because of how it is made."""

    step: Step
    kinds: frozenset[str]
    """What is special about it, such as ``edit list``."""
    turn: str = ""
    """FFmpeg filters that turn the coded picture upright, as the recipe asks for."""
    whole: Step | None = None
    """The undamaged clip of a damaged one."""
    parts: tuple[Step, ...] = ()
    """The recordings that were joined."""

    def script(self) -> str:
        """Shell commands that make the clip as ``clip.SUFFIX``."""
        lines: list[str] = []
        _print(self.step, lines, {})
        return "\n".join([f"FFMPEG={ffmpeg_path()}", *lines])


def _print(step: Step, lines: list[str], names: dict[Step, str]) -> str:
    if step not in names:
        inputs = [_print(source, lines, names) for source in step.inputs]
        names[step] = f"s{len(names)}.{step.suffix}"
        words = _words(step, inputs, Path(names[step]))
        program = (
            ["$FFMPEG", "-v", "error", "-y"]
            if step.tool == "ffmpeg"
            else [f"PYTHONPATH={ROOT}", "python", "-m", edits.__name__, step.tool]
        )
        lines.append(" ".join([*program, *(shlex.quote(word) for word in words)]))
    return names[step]


def _words(step: Step, inputs: list[str], output: Path) -> list[str]:
    words = []
    for word in shlex.split(step.arguments):
        filled = word.replace("{log}", f"{output}.log")
        for number, source in enumerate(inputs):
            filled = filled.replace(f"{{{number}}}", source)
        words.append(filled)
    return [*words, str(output)]


class CannotBeMadeError(Exception):
    """FFmpeg refuses to make the clip: the combination drawn does not exist."""


class Workshop:
    """Makes each file once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, step: Step) -> Path:
        """The file that the step makes; CannotBeMadeError where it does not."""
        output = self.folder / step.name
        if output.exists():
            return output
        inputs = [str(self(source)) for source in step.inputs]
        words = _words(step, inputs, output)
        if step.tool != "ffmpeg":
            output.write_bytes(EDITS[step.tool](*words[:-1]))
            return output
        program = [ffmpeg_path(), "-hide_banner", "-nostdin", "-v", "error", "-y"]
        done = subprocess.run([*program, *words], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            output.unlink(missing_ok=True)
            raise CannotBeMadeError(f"{shlex.join(words)}: {done.stderr[-600:]}")
        return output
