"""Any other minor version of Ray than the one that the contract tests ran with is refused."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import ray

from vbench.ray_internals import version

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0


def test_distribution_version() -> None:
    assert version.installed_version() == ray.__version__
    with (ROOT / "pyproject.toml").open("rb") as file:
        pinned: list[str] = tomllib.load(file)["project"]["dependencies"]
    assert f"ray[serve]=={version.PINNED}" in pinned
    assert version.version_problem() is None


@pytest.mark.parametrize(
    ("installed", "accepted"), [("2.60.3", True), ("2.58.0", True), ("2.57.0", False), ("3.0.0", False)]
)
def test_another_minor_version_is_refused_with_a_remedy(
    installed: str, accepted: bool, tmp_path: Path
) -> None:
    """Whatever Ray is imported from: the version is that of the distribution."""
    metadata = tmp_path / f"ray-{installed}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: ray\nVersion: {installed}\n")
    code = (
        "from vbench.clusters.installation import check_installation\n"
        "from vbench.errors import InputError\n"
        "try:\n    check_installation()\nexcept InputError as error:\n    print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    refusal = (
        f"Ray {installed} is installed, and vbench works with Ray 2.58, 2.59, 2.60, whose internal interfaces"
        f" it knows: run pip install 'ray[serve]=={version.PINNED}'.\n"
    )
    assert done.stdout == ("" if accepted else refusal)
