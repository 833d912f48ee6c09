"""Each interface in the table of ``vbench.ray_internals`` has a test of its name; nothing else names one."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import vbench.ray_internals

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


def test_every_interface_in_the_table_has_a_test_of_its_name() -> None:
    assert vbench.ray_internals.__doc__ is not None
    rows = re.findall(r"^(\w+) {2,}\w", vbench.ray_internals.__doc__, re.MULTILINE)
    assert len(rows) > 30
    texts = [path.read_text() for path in HERE.glob("test_*.py")]
    tests = Counter(name for text in texts for name in re.findall(r"^def test_(\w+)\(", text, re.MULTILINE))
    assert [name for name in rows if tests[name] != 1 and name != "Interface"] == []


PRIVATE = re.compile(
    r"\bray(\.[a-z]\w*)*\._(?!_)\w+|\bray\.(core\.generated|experimental|dashboard|scripts)\b|_to_object_ref\b|"
    r"\b_on_ready\b|__ray_\w+__|_server_ray_version|node:__internal_head__|session_latest|SERVE_REPLICA::|"
    r"SERVE_CONTROLLER_ACTOR|--node_ip_address|_raylet_healthz|RAY_SERVE_HTTP_PROXY|RAY_JOB_STOP|"
    r"RAY_experimental_|RAY_object_manager"
)
"""Interfaces of Ray that only ``vbench.ray_internals`` may name. ``ray.__version__`` is public."""


@pytest.mark.parametrize("folder", ["vbench", "experiments"])
def test_no_other_module_names_a_private_interface_of_ray(folder: str) -> None:
    assert PRIVATE.search("from ray.serve._private.constants import X")
    assert PRIVATE.search("import ray._raylet")
    assert not PRIVATE.search("print(ray.__version__, ray.__commit__)")
    offenders = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(ROOT / "vbench" / "ray_internals")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if PRIVATE.search(line)
    ]
    assert offenders == []


def test_no_other_test_imports_a_private_interface_of_ray() -> None:
    imports = re.compile(
        r"^\s*(from|import) ray(\.\w+)*(\._\w+|\.core\.generated|\.experimental)", re.MULTILINE
    )
    assert imports.search("from ray._private.internal_api import node_stats")
    offenders = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if not path.is_relative_to(HERE) and imports.search(path.read_text())
    ]
    assert offenders == []


def test_constants_are_read_without_importing_ray() -> None:
    names = ("jobs", "node", "node_manager", "object_manager", "processes", "serve", "start", "version")
    code = f"import sys\nfrom vbench.ray_internals import {', '.join(names)}\nassert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)
