"""Ranges and choices of single values: those in the types of the service's settings, and those of a trial."""

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from vbench.config.arrivals import OPEN_LOADS
from vbench.config.designs import DESIGNS
from vbench.config.schema import Config
from vbench.config.transfer import TRANSFER
from vbench.config.workload import Workload
from vbench.errors import nearest
from vbench.models.field_checks import Checked, OneOf
from vbench.models.settings import ModelSettings
from vbench.pipeline.settings import MAX_CALLS, Mode, PipelineSettings
from vbench.record.looks import AUTO, FIRST, MOST_BLOCKS
from vbench.video.exact_number import frame_rate

CHOICES: dict[str, tuple[str, ...]] = {
    "design": DESIGNS,
    "mode": get_args(Mode),
    "tracking.name": ("sqlite", "off"),
    "load.name": ("closed", TRANSFER, *OPEN_LOADS),
    "workload": get_args(Workload),
}

POSITIVE = (
    "video.fetch_timeout_s",
    "load.requests",
    "load.concurrency",
    "load.timeout_s",
    "load.in_flight_limit",
    "load.max_late_ms",
    "load.max_foreign_cpu_percent",
    "load.max_stall_ms",
    "load.max_stall_percent",
    "load.max_speed_change_percent",
    "load.max_foreign_gpu_percent",
    "load.sample_period_s",
    "load.object_mb",
    "load.objects",
    "cluster.start_timeout_s",
    "cluster.deploy_timeout_s",
)

MOST_BATCH = 1024
"""Frames of one forward pass; so many take gigabytes."""

MOST = 1_000_000
"""More than any count, length or timeout of a trial can be."""

SHORTEST_SAMPLE_PERIOD_S = 0.02
"""More samples would take CPU time from what is measured, and fill the disk."""

LONGEST_SAMPLE_PERIOD_S = 1.0
"""Whether a link or a CPU was the bottleneck is judged from one sample to the next."""


def value_problems(config: Config) -> Iterator[str]:
    """One sentence for each value that is out of its range or no choice."""
    yield from _single_values(config)
    yield from _costs(config)
    yield from _settings("model", ModelSettings, config.model)
    yield from _settings("pipeline", PipelineSettings, config.pipeline)


def value_at(config: object, key: str) -> object:
    """The value at a dotted key."""
    for part in key.split("."):
        config = config[part] if isinstance(config, dict) else getattr(config, part)
    return config


def _single_values(config: Config) -> Iterator[str]:
    for key, choices in CHOICES.items():
        value = value_at(config, key)
        if value not in choices:
            yield f"{key}={value} does not exist: {nearest(str(value), choices)}."
    for key in POSITIVE:
        value = value_at(config, key)
        if not (isinstance(value, int | float) and 0 < value <= MOST):
            yield f"{key}={value} must be above 0 and at most {MOST:,}."
    if not 0 <= config.load.min_scene_map50 <= 1:
        yield f"load.min_scene_map50={config.load.min_scene_map50:g} must be from 0 (no floor) to 1."
    if not 0 <= config.load.warmup <= MOST:
        yield f"load.warmup={config.load.warmup} must be from 0 to {MOST:,}."
    if not 0 < config.load.max_machine_cpu_percent <= 100:
        yield (
            f"load.max_machine_cpu_percent={config.load.max_machine_cpu_percent:g} must be above 0 and at"
            f" most 100."
        )
    yield from _blocks(config)
    if not 0 < config.analysis.equivalence_percent < 100:
        yield (
            f"analysis.equivalence_percent={config.analysis.equivalence_percent:g} must be above 0 and below"
            f" 100."
        )
    if config.block < 0:
        yield f"block={config.block} must be 0 or more."
    if not 0 <= config.cluster.http_port <= 65535:
        yield f"cluster.http_port={config.cluster.http_port} must be between 0 (any free one) and 65535."


def _blocks(config: Config) -> Iterator[str]:
    blocks, most = config.blocks, config.analysis.max_blocks
    if type(blocks) not in (int, str) or (isinstance(blocks, str) and blocks != AUTO):
        yield f"blocks={blocks} must be a whole number from 1 to {MOST_BLOCKS:,}, or auto."
    elif isinstance(blocks, int) and not 1 <= blocks <= MOST_BLOCKS:
        yield f"blocks={blocks} must be between 1 and {MOST_BLOCKS:,}, or auto."
    elif blocks == AUTO and most is None:
        yield "blocks=auto needs a bound: add analysis.max_blocks=12."
    if most is not None and not FIRST <= most <= MOST_BLOCKS:
        yield (
            f"analysis.max_blocks={most} must be between {FIRST} and {MOST_BLOCKS:,}: blocks=auto first looks"
            f" at its results after {FIRST} blocks."
        )


def _costs(config: Config) -> Iterator[str]:
    """Values that cost more than a machine or a measurement can bear."""
    if 0 < config.load.sample_period_s < SHORTEST_SAMPLE_PERIOD_S:
        yield (
            f"load.sample_period_s={config.load.sample_period_s:g} must be {SHORTEST_SAMPLE_PERIOD_S:g} s or"
            f" more: sampling more often would disturb what is measured."
        )
    if LONGEST_SAMPLE_PERIOD_S < config.load.sample_period_s <= MOST:
        yield (
            f"load.sample_period_s={config.load.sample_period_s:g} must be {LONGEST_SAMPLE_PERIOD_S:g} s or"
            f" less: a longer period hides what the links and the CPUs did."
        )
    if MAX_CALLS < config.load.concurrency <= MOST:
        yield f"load.concurrency={config.load.concurrency} must be at most {MAX_CALLS:,}."
    if MOST_BATCH < config.model.batch_size <= MOST:
        yield f"model.batch_size={config.model.batch_size} must be at most {MOST_BATCH:,}."
    if not config.model.weights.strip():
        yield "model.weights= names no weights: give bundled, random, a file or a model's name."


def _settings(section: str, kind: type, settings: object) -> Iterator[str]:
    """What the types of a section's fields refuse. They stand in ``Annotated``; for the service, pydantic
    runs the same checks."""
    hints = get_type_hints(kind, include_extras=True)
    for item in fields(kind):
        key, value = f"{section}.{item.name}", getattr(settings, item.name)
        hint = hints[item.name]
        alternatives = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
        is_nullable = type(None) in alternatives
        checks = [check for part in alternatives for check in getattr(part, "__metadata__", ())]
        if not (value is None and is_nullable):
            yield from _refused(key, value, checks, ", or null" if is_nullable else "")


def _refused(key: str, value: Any, checks: list[Any], or_null: str) -> Iterator[str]:
    """A sentence if the value does not pass the checks of its type."""
    for check in checks:
        if isinstance(check, OneOf):
            if value not in check.values:
                yield f"{key}={value} does not exist: {nearest(str(value), check.values)}."
        elif isinstance(check, Checked):
            try:
                check.check(value)
            except ValueError as error:
                yield f"{key}={value}: {error}."
    bounds = [check for check in checks if type(check) in _COMPARISONS]
    if bounds and isinstance(value, int) and not any(isinstance(bound, Le | Lt) for bound in bounds):
        bounds.append(Le(MOST))
    if bounds and not (math.isfinite(value) and all(_passes(value, bound) for bound in bounds)):
        texts = [_COMPARISONS[type(bound)][1].format(f"{_limit(bound):,.12g}") for bound in bounds]
        yield f"{key}={value} must be {' and '.join(texts)}{or_null}."


_COMPARISONS: dict[type, tuple[Callable[[Any, Any], bool], str]] = {
    Ge: (operator.ge, "{} or more"),
    Gt: (operator.gt, "above {}"),
    Le: (operator.le, "not above {}"),
    Lt: (operator.lt, "below {}"),
}


def _limit(bound: Any) -> Any:
    """The number in ``Ge(ge=1)``, and so on."""
    return getattr(bound, type(bound).__name__.lower())


def _passes(value: float, bound: Any) -> bool:
    return _COMPARISONS[type(bound)][0](value, _limit(bound))


def rate(key: str, text: str) -> Iterator[str]:
    """A complaint if ``text`` is no frame rate."""
    try:
        frame_rate(text)
    except ValueError as error:
        yield f"{key}={text}: {error}."
