"""``python other_versions.py FOLDER``: runs the contract tests with every other Ray that vbench works with.

Each gets an environment in FOLDER, with the other packages as ``constraints.txt`` pins them.
"""

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from vbench.ray_internals.version import PINNED, SUPPORTED

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/ray_internals"
OF_TESTS = ("hypothesis", "pytest", "pytest-timeout")


def main(folder: Path) -> int:
    failed = [
        minor for minor in SUPPORTED if not PINNED.startswith(f"{minor}.") and not passes(folder, minor)
    ]
    if failed:
        print(
            f"the contract tests fail with Ray {', '.join(failed)}: take it out of SUPPORTED", file=sys.stderr
        )
    return 1 if failed else 0


def passes(folder: Path, minor: str) -> bool:
    python = installed(folder / minor, minor)
    print(f"Ray {minor}", flush=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    deselected = f"{HERE}/test_version.py"
    command = [python, "-m", "pytest", "-q", HERE, f"--ignore={deselected}", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def installed(folder: Path, minor: str) -> str:
    """The Python of an environment with this Ray, which is made if it is not there."""
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if done.exists():
        return str(python)
    venv.create(folder, with_pip=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [item for item in project["dependencies"] if not item.startswith("ray[")]
    requirements += [
        item for item in project["optional-dependencies"]["dev"] if item.partition("==")[0] in OF_TESTS
    ]
    pinned = folder / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned.write_text("\n".join(line for line in lines if not re.match(r"ray(-\w+)?==", line)))
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-c", pinned, f"ray[serve]=={minor}.*", *requirements],
        check=True,
    )
    done.touch()
    return str(python)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
