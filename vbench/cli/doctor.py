"""``vbench doctor``: checks whether this machine can run an emulated cluster, and names what is missing."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vbench.clusters.emulated.cluster import all_requirements
from vbench.clusters.emulated.requirements import Requirement
from vbench.clusters.installation import sentence, unusable_path
from vbench.config.schema import Config
from vbench.config.sizing import machine_cpus
from vbench.errors import VbenchError
from vbench.run.compose import compose_one
from vbench.video.errors import ToolMissingError
from vbench.video.ffmpeg.executable import ffmpeg_path, ffmpeg_version

FEWEST_CPUS = 2


def examine(config: Config) -> Iterator[Requirement]:
    """Try everything that ``cluster=emulated`` needs; ``cluster=local`` needs only FFmpeg and the CPUs."""
    yield _ffmpeg()
    path = unusable_path()
    yield Requirement(
        name="environment's path",
        is_met=path is None,
        observed=str(path or Path(sys.executable).parent),
        remedy=sentence(path) if path else "",
    )
    cpus = machine_cpus()
    yield Requirement(
        name="CPUs",
        is_met=cpus >= FEWEST_CPUS,
        observed=f"{cpus} usable of {os.cpu_count()}",
        remedy=f"use a machine with {FEWEST_CPUS} cores or more: a decoder and a model need one each",
    )
    yield from all_requirements(config.cluster)


def _ffmpeg() -> Requirement:
    remedy = "install the package imageio-ffmpeg (make setup), or put ffmpeg on the PATH"
    try:
        path = ffmpeg_path()
        return Requirement(name="FFmpeg", is_met=True, observed=f"{ffmpeg_version(path)}", remedy=remedy)
    except ToolMissingError as error:
        return Requirement(name="FFmpeg", is_met=False, observed=str(error), remedy=remedy)


def main(arguments: list[str] | None = None) -> int:
    """Print what was found; exit status 0 if an emulated cluster can run here, 1 if something is missing."""
    parser = argparse.ArgumentParser(prog="vbench doctor", description=__doc__)
    parser.add_argument("overrides", nargs="*", help="as for vbench run, such as cluster.scale=50")
    options = parser.parse_args(arguments)
    try:
        config = compose_one(["cluster=emulated", *options.overrides], deploys=False)
    except VbenchError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status
    requirements = list(examine(config))
    width = None if sys.stdout.isatty() else shutil.get_terminal_size((110, 24)).columns
    console = Console(highlight=False, width=width)
    table = Table()
    for name in ("needed", "", "found"):
        table.add_column(name)
    for requirement in requirements:
        mark = Text("yes", "green") if requirement.is_met else Text("NO", "bold red")
        table.add_row(requirement.name, mark, Text(requirement.observed))
    console.print(table)
    missing = [requirement for requirement in requirements if not requirement.is_met]
    for requirement in missing:
        console.print(Text(f"{requirement.name}: {requirement.remedy}"), soft_wrap=True)
    console.print("cluster=emulated cannot run here" if missing else "cluster=emulated can run here")
    return 1 if missing else 0
