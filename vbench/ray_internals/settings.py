"""Ray's settings by environment variable: which names an installed Ray knows, and which values it takes.

Ray ignores a name that it does not know, and reads many wrong values as false. Its own processes read the
variables: those in C++ from a table of typed settings, those in Python wherever a module asks for one.
"""

import ast
import base64
import importlib.util
import json
import mmap
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

PREFIX = "RAY_"

CONTROL_STORE = Path("core/src/ray/gcs/gcs_server")
"""Below Ray's folder: a program that has all settings of Ray's C++ processes."""

OTHER_LIBRARIES = frozenset(
    {"rllib", "train", "tune", "data", "llm", "tests", "benchmarks", "jars", "thirdparty", "thirdparty_files"}
)
"""Folders of Ray in which nothing that Serve runs on reads a variable."""

LEAST_NAMES = 300
"""Far below what any supported Ray has (2.60: about 600); fewer mean that they are stored in another way."""

PROBE_S = 20.0

_TYPED = re.compile(r"type must be (\w+), but is object")
_UNKNOWN = "Received unexpected config parameter"


class Kind(StrEnum):
    """What a setting's value is."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    """``1`` or ``true``; Ray's C++ reads anything else as false."""
    FLAG = "flag"
    """``1``; Ray's Python reads anything else, ``true`` as well, as false."""
    INTEGER = "integer"
    POSITIVE_INTEGER = "positive integer"
    NON_NEGATIVE_INTEGER = "non-negative integer"
    POSITIVE_NUMBER = "positive number"
    NON_NEGATIVE_NUMBER = "non-negative number"
    TEXT = "text"


PYTHON_READERS = {
    "get_env_int": Kind.INTEGER,
    "get_env_int_positive": Kind.POSITIVE_INTEGER,
    "get_env_int_non_negative": Kind.NON_NEGATIVE_INTEGER,
    "get_env_float": Kind.NUMBER,
    "get_env_float_positive": Kind.POSITIVE_NUMBER,
    "get_env_float_non_negative": Kind.NON_NEGATIVE_NUMBER,
    "get_env_bool": Kind.FLAG,
    "get_env_str": Kind.TEXT,
    "env_integer": Kind.INTEGER,
    "env_float": Kind.NUMBER,
    "env_bool": Kind.BOOLEAN,
    "int": Kind.INTEGER,
    "float": Kind.NUMBER,
}
"""Functions by which Ray's Python reads a variable, and what each makes of it."""


class SettingsError(Exception):
    """An installed Ray does not say what it was asked, as one of another version may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeSetting:
    """What Ray's C++ says of a setting."""

    kind: Kind
    is_read: bool
    """Whether the value that it was given could be read."""


def installed_folder() -> Path:
    """The folder of this environment's Ray; does not import it."""
    spec = importlib.util.find_spec("ray")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError("ray is not installed")
    return Path(spec.submodule_search_locations[0])


@lru_cache(maxsize=4)
def known_names(folder: Path) -> frozenset[str]:
    """All variables that the Ray in ``folder`` reads, in C++ or Python; reads about 50 MB of its files.

    SettingsError if they are not to be found there.
    """
    names = _native_names(folder) | _named_in_python(folder).keys()
    if len(names) < LEAST_NAMES:
        raise SettingsError(f"{folder} names only {len(names)} settings")
    return names


def _native_names(folder: Path) -> frozenset[str]:
    path = folder / CONTROL_STORE
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            # Literals end with a zero byte; several in one piece of text are other things.
            typed = re.findall(rb"RAY_[a-z]\w{2,98}[A-Za-z0-9]", content)
            others = re.findall(rb"\0(RAY_[A-Z]\w{2,98}[A-Za-z0-9])(?=\0)", content)
            return frozenset(name.decode() for name in (*typed, *others))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error


@lru_cache(maxsize=4)
def _named_in_python(folder: Path) -> dict[str, list[Path]]:
    """Name -> the sources that have it as a text."""
    named: dict[str, list[Path]] = {}
    for path in _sources(folder):
        names = re.findall(rb"""["'](RAY_\w{2,98}[A-Za-z0-9])["']""", path.read_bytes())
        for name in dict.fromkeys(names):
            named.setdefault(name.decode(), []).append(path)
    return named


def _sources(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in OTHER_LIBRARIES)
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".py"))


@lru_cache(maxsize=256)
def native_setting(folder: Path, name: str, value: str) -> NativeSetting | None:
    """What Ray's C++ makes of a variable; None if it has no such setting.

    Starts the control store with the variable, and with an object as the setting's value in its
    configuration, which no setting takes: it ends at once, and names the type that it wants.
    """
    said = _probe(folder, name, {name: value})
    if _UNKNOWN in said:
        return None
    is_read = (typed := _TYPED.search(said)) is not None
    if typed is None:
        # It ends without a word on a value that it cannot read.
        typed = _TYPED.search(said := _probe(folder, name, {}))
        if typed is None and _UNKNOWN in said:
            return None
    if typed is None:
        raise SettingsError(f"{folder / CONTROL_STORE} says nothing of {name}")
    kinds = {"number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
    return NativeSetting(kind=kinds.get(typed[1], Kind.TEXT), is_read=is_read)


def _probe(folder: Path, name: str, variables: dict[str, str]) -> str:
    config = base64.b64encode(json.dumps({name.removeprefix(PREFIX): {}}).encode()).decode()
    path = folder / CONTROL_STORE
    try:
        run = subprocess.run(
            [path, f"--config_list={config}", "--session_name=settings"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=variables,
            timeout=PROBE_S,
            check=False,
        )
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise SettingsError(f"{path} did not end within {PROBE_S:g} s") from error
    return run.stdout.decode(errors="replace")


@lru_cache(maxsize=256)
def python_kind(folder: Path, name: str) -> Kind | None:
    """What Ray's Python makes of a variable, by the function that reads it; None if that is not seen."""
    for path in _named_in_python(folder).get(name, ()):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if (kind := _kind_read(node, name)) is not None:
                return kind
    return None


def _kind_read(node: ast.AST, name: str) -> Kind | None:
    """The kind if this node reads ``name``: ``get_env_int("NAME", 1)``, ``int(os.environ.get("NAME"))``,
    ``os.environ.get("NAME") == "1"``."""
    if isinstance(node, ast.Call) and node.args:
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        kind = PYTHON_READERS.get(function)
        if kind is not None and (_is_text(node.args[0], name) or _asks_for(node.args[0], name)):
            return kind
    if isinstance(node, ast.Compare) and _asks_for(node.left, name) and _is_text(node.comparators[0], "1"):
        return Kind.FLAG
    return None


def _asks_for(node: ast.expr, name: str) -> bool:
    """Whether it is ``os.environ.get(name, ...)``, ``os.getenv(name)`` or ``os.environ[name]``."""
    if isinstance(node, ast.Call) and node.args:
        return (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("get", "getenv")
            and _is_text(node.args[0], name)
        )
    return isinstance(node, ast.Subscript) and _is_text(node.slice, name)


def _is_text(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text
