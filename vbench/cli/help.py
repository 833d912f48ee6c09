"""``python -m vbench --help``: every group, option and field, a line each, read from where they are.

Nothing is imported for it but the standard library, so that it answers at once.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from vbench.config.checkout import CONF, EXPERIMENTS

SCHEMA = Path(__file__).parents[1] / "config" / "schema.py"

HEAD = """\
vbench: what does a Ray runtime setting do to a real video-inference service?

  vbench                                        the main job
  vbench mode=combined                          one trial, combined inference
  vbench video=file video.path=clip.mp4         any local video
  vbench --multirun mode=chunked,combined runtime=oss,anyscale    a sweep
  vbench +experiments=anyscale_vs_oss blocks=2  a study: its arms in blocks, in random order
  vbench resume=SWEEP_FOLDER                    what a sweep that was stopped lacks
  vbench --cfg job mode=combined                show the configuration, run nothing
  vbench compare SWEEP_FOLDER                   compare the arms of a sweep
  vbench doctor                                 what cluster=emulated needs and this machine lacks
  vbench efficiency [FOLDER]                    a trial beside this machine's own ceiling
  vbench log FOLDER                             log a record to MLflow later
  vbench manifests KIND                         manifests for Kubernetes, ray up or Anyscale
  vbench request URL VIDEO                      ask a running service for one video
  vbench revalidate FOLDER                      judge records again, from their files

vbench run KEY=VALUE ... is the same as vbench KEY=VALUE ..., and python -m vbench as vbench. Each of the
other commands has its own --help; vbench --version prints the version.

Exit status: 0 valid and logged, 1 not valid or failed, 2 bad input, 3 valid but not logged, 130 interrupted.
"""


def text() -> str:
    """The whole help page."""
    parts = [HEAD, "Studies: +experiments=NAME\n"]
    parts += [f"  {file.stem:<22} {comment(file)}" for file in sorted(EXPERIMENTS.glob("*.yaml"))]
    parts.append("\nGroups: GROUP=OPTION (the first listed is the default)\n")
    defaults = _defaults()
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir()):
        parts.append(f"  {folder.name}")
        default = defaults.get(folder.name)
        options = sorted(folder.glob("*.yaml"), key=lambda file: (file.stem != default, file.stem))
        parts += [f"    {file.stem:<12} {comment(file)}" for file in options]
    parts.append("\nFields: KEY=VALUE\n")
    parts += [f"  {key:<50} {line}" for key, line in fields()]
    return "\n".join(parts) + "\n"


def comment(file: Path) -> str:
    """The first comment of an option file that is no directive for Hydra."""
    lines = (line for line in file.read_text().splitlines() if line.startswith("#"))
    return next((line.lstrip("# ") for line in lines if "@package" not in line), "")


def _defaults() -> dict[str, str]:
    pairs = (line.split("#")[0].strip().lstrip("- ").partition(":") for line in _defaults_lines())
    return {group.strip(): option.strip() for group, _, option in pairs if option.strip()}


def _defaults_lines() -> list[str]:
    text = (CONF / "config.yaml").read_text()
    return [line for line in text.splitlines() if line.startswith("  - ") and "override" not in line]


def fields() -> Iterator[tuple[str, str]]:
    """(dotted key, its line) of every field of the schema, from the docstrings under the fields."""
    tree = ast.parse(SCHEMA.read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    yield from _fields(classes, classes["Config"], "")


def _fields(classes: dict[str, ast.ClassDef], kind: ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    each = [
        (ast.unparse(node.target), _types(node), _line(kind.body[at + 1]))
        for at, node in enumerate(kind.body)
        if isinstance(node, ast.AnnAssign)
    ]
    inner = [next((classes[name] for name in types if name in classes), None) for _, types, _ in each]
    alike = len(inner) > 1 and inner[0] is not None and all(one is inner[0] for one in inner)
    for (name, types, line), part in zip(each, inner, strict=True):
        if part is None or alike:
            if not (prefix and name == "name"):
                yield f"{prefix}{name}{'.*' if part else ''}", line
        else:
            yield from _fields(classes, part, f"{prefix}{name}.{'NAME.' if 'dict' in types else ''}")
    if alike and inner[0] is not None:
        yield from _fields(classes, inner[0], f"{prefix}*.")


def _types(node: ast.AnnAssign) -> list[str]:
    return [name.id for name in ast.walk(node.annotation) if isinstance(name, ast.Name)]


def _line(node: ast.stmt) -> str:
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Constant)
    return str(node.value.value)
