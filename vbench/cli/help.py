"""``vbench --help``: one line for every command, study, option and field, read from the files themselves.

It imports only the standard library, so that it answers at once and before anything is installed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from vbench.config.checkout import CONF
from vbench.config.option_files import find_option_files

PACKAGE = Path(__file__).parents[1]
SCHEMA = (
    "config/schema.py",
    "config/results_schema.py",
    "models/settings.py",
    "pipeline/settings.py",
    "video/scenes/settings.py",
)
"""Files with the dataclasses of a configuration."""

HEAD = """\
vbench: what does a Ray runtime setting do to a real video-inference service?

Usage:
  vbench [run] [OPTIONS] [KEY=VALUE ...]        run one trial, or a sweep of trials
  vbench COMMAND --help                         how to use another command

Run:
  vbench                                        run one trial with the defaults
  vbench mode=combined                          run one trial with combined inference
  vbench video=file video.path=clip.mp4         use a video of your own
  vbench --multirun mode=chunked,combined runtime=oss,anyscale    run a sweep: every combination once
  vbench +experiments=anyscale_vs_oss blocks=2  run a study: every arm once per block, in random order
  vbench --multirun design=oneway KEY=A,B ...   change one key at a time; design=fractional: many, in few arms
  vbench --multirun label=a,b blocks=auto analysis.max_blocks=12    add blocks until the arms are decided
  vbench resume=SWEEP_FOLDER [blocks=N]         finish a stopped sweep, or extend a finished one to N blocks

Commands:
  vbench baseline save|list|compare|history     keep sweeps under a name, and compare later ones with them
  vbench cluster up|exec|status|down            use an emulated cluster for any Ray program
  vbench compare SWEEP_FOLDER                   compare the arms of a sweep
  vbench doctor                                 check whether cluster=emulated can run on this machine
  vbench efficiency [FOLDER]                    compare a trial with what this machine can reach
  vbench log FOLDER                             log a record to MLflow
  vbench manifests KIND                         write manifests for Kubernetes, ray up or Anyscale
  vbench plan SWEEP_OR_STUDY --effect PERCENT   say how many blocks and hours a study takes
  vbench request URL VIDEO                      send one video to a running service
  vbench revalidate FOLDER                      judge records again by the rules of this version

Options:
  --cfg job|hydra|all                           print the configuration and run nothing
      --package KEY, --resolve                  ... one part of it, with interpolations replaced
  --config-dir DIR                              use your own option files (default: vbench_conf/)
  --info [all|config|defaults|...]              print how Hydra composes the configuration
  --multirun                                    run every combination of comma-separated values
  --shell-completion install=bash|fish|zsh      print a completion script: eval "$(vbench -sc install=bash)"
  --help, --version

python -m vbench is the same command. Your own option files go into folders named like the groups below, such
as vbench_conf/runtime/two.yaml, which you then choose with runtime=two.

Exit status: 0 valid and logged, 1 invalid or failed, 2 bad input, 3 valid but not logged, 130 interrupted.
"""


def text(config_dir: str | None = None) -> str:
    """The whole help page; ``config_dir``: the folder of the user's own option files, if it is given."""
    files = find_option_files(config_dir)
    groups = files.groups()
    parts = [HEAD, "Studies: +experiments=NAME\n"]
    parts += [f"  {study:<22} {comment(file)}" for study, file in files.studies().items()]
    parts.append("\nGroups: GROUP=OPTION (the first listed is the default)\n")
    defaults = default_options()
    width = max(12, *(len(option) for options in groups.values() for option in options))
    for group, options in groups.items():
        parts.append(f"  {group}")
        default = defaults.get(group)
        for option in sorted(options, key=lambda option: (option != default, option)):
            parts.append(f"    {option:<{width}} {comment(options[option])}")
    parts.append("\nFields: KEY=VALUE\n")
    parts += [f"  {key:<50} {line}" for key, line in fields()]
    return "\n".join(parts) + "\n"


def comment(file: Path) -> str:
    """The first comment of an option file that is no directive for Hydra."""
    lines = (line for line in file.read_text().splitlines() if line.startswith("#"))
    return next((line.lstrip("# ") for line in lines if "@package" not in line), "")


def default_options() -> dict[str, str]:
    """Group -> the option that is chosen if none is."""
    pairs = (line.split("#")[0].strip().lstrip("- ").partition(":") for line in _defaults_lines())
    return {group.strip(): option.strip() for group, _, option in pairs if option.strip()}


def _defaults_lines() -> list[str]:
    text = (CONF / "config.yaml").read_text()
    return [line for line in text.splitlines() if line.startswith("  - ") and "override" not in line]


def fields() -> Iterator[tuple[str, str]]:
    """(dotted key, its line) of every field of the schema, from the docstrings under the fields."""
    trees = [ast.parse((PACKAGE / file).read_text()) for file in SCHEMA]
    classes = {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)}
    yield from _fields(classes, classes["Config"], "")


def _fields(classes: dict[str, ast.ClassDef], kind: ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    members = [(name, types, line) for name, (types, line) in _members(classes, kind).items()]
    # The parts of a list are set with the list.
    inner = [
        next((classes[name] for name in types if name in classes and "list" not in types), None)
        for _, types, _ in members
    ]
    alike = len(inner) > 1 and inner[0] is not None and all(one is inner[0] for one in inner)
    for (name, types, line), part in zip(members, inner, strict=True):
        if part is None or alike:
            if not (prefix and name == "name"):
                yield f"{prefix}{name}{'.*' if part else ''}", line
        else:
            yield from _fields(classes, part, f"{prefix}{name}.{'NAME.' if 'dict' in types else ''}")
    if alike and inner[0] is not None:
        yield from _fields(classes, inner[0], f"{prefix}*.")


def _members(classes: dict[str, ast.ClassDef], kind: ast.ClassDef) -> dict[str, tuple[list[str], str]]:
    """Field -> (names in its type, its line), in the order of the dataclass; those of base classes too.

    A field that a class has from its base and only gives another default keeps the line of the base.
    """
    members: dict[str, tuple[list[str], str]] = {}
    for base in reversed(kind.bases):
        if isinstance(base, ast.Name) and base.id in classes:
            members |= _members(classes, classes[base.id])
    for node, after in zip(kind.body, [*kind.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
            members[name] = (_types(node), _line(after) if isinstance(after, ast.Expr) else members[name][1])
    return members


def _types(node: ast.AnnAssign) -> list[str]:
    return [name.id for name in ast.walk(node.annotation) if isinstance(name, ast.Name)]


def _line(node: ast.stmt) -> str:
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Constant)
    return str(node.value.value)
