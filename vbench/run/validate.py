"""Validates a configuration beyond its types: gathers the checks of its parts, and checks what must fit."""

from collections.abc import Iterator

from vbench.clusters.attached.validate import attached, is_discovered
from vbench.clusters.emulated.validate import network
from vbench.config import app, transfer
from vbench.config.path_option import IN_A_URL, LOOP, leads_to_itself, usable_outputs
from vbench.config.quoting import override
from vbench.config.runtime_checks import runtime_problems
from vbench.config.schema import Config
from vbench.config.workload import VIDEO, workload_of
from vbench.run.load_checks import load_problems
from vbench.run.placement_checks import node_problems, placement_problems
from vbench.run.serve_checks import serve_problems
from vbench.run.value_ranges import value_problems
from vbench.run.video_checks import video_problems

LONGEST_EXPERIMENT = 500
"""Characters of an experiment's name that MLflow takes."""


def problems(config: Config, *, deploys: bool = True) -> list[str]:
    """One sentence for each thing that is wrong, with key, value and remedy; none if all is well.

    ``deploys``: whether anything is deployed, for which the nodes must have room.
    """
    return list(_problems(config, deploys=deploys))


def _problems(config: Config, *, deploys: bool) -> Iterator[str]:
    yield from value_problems(config)
    yield from _experiment(config)
    if config.load.concurrency > config.load.requests:
        yield (
            f"load.concurrency={config.load.concurrency} is more than load.requests={config.load.requests}:"
            f" lower the one or raise the other."
        )
    yield from runtime_problems(config.runtime)
    yield from serve_problems(config)
    yield from network(config)
    yield from attached(config.cluster)
    yield from video_problems(config)
    yield from app.problems(config)
    yield from load_problems(config)
    if leads_to_itself(config.model.weights):
        yield f"model.weights={config.model.weights}: {LOOP}."
    yield from _outputs(config.outputs, is_tracked=config.tracking.name != "off")
    of_nodes = list(node_problems(config))
    yield from of_nodes
    if not of_nodes and deploys and not is_discovered(config.cluster):
        if workload_of(config) == VIDEO:
            yield from placement_problems(config.cluster)
        yield from transfer.problems(config)


def _experiment(config: Config) -> Iterator[str]:
    name = config.tracking.experiment
    if config.tracking.name == "off":
        return
    if not name.strip():
        yield "tracking.experiment= must name an experiment, such as tracking.experiment=vbench."
    elif len(name) > LONGEST_EXPERIMENT:
        yield (
            f"tracking.experiment has {len(name)} characters, and MLflow takes {LONGEST_EXPERIMENT}: give a"
            f" shorter name."
        )


def no_folder(outputs: str) -> str:
    """The sentence for an outputs folder without a name."""
    return f"outputs={outputs!r} must name a folder, such as {override('outputs', usable_outputs())}."


def _outputs(outputs: str, *, is_tracked: bool) -> Iterator[str]:
    if not outputs.strip():
        yield no_folder(outputs)
    elif leads_to_itself(outputs):
        yield f"outputs={outputs}: {LOOP}."
    elif is_tracked and (sign := IN_A_URL.search(outputs)):
        yield (
            f"outputs={outputs} contains {sign[0]!r}, and MLflow would open another database: give a folder"
            f" without ? # % in its path, such as {override('outputs', usable_outputs())}, or tracking=off."
        )
