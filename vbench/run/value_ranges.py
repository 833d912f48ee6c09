"""Ranges and choices of single values, which their types do not say."""

import math
from collections.abc import Iterator
from typing import get_args

from vbench.config.designs import DESIGNS
from vbench.config.schema import Config, PipelineConfig
from vbench.config.transfer import TRANSFER
from vbench.errors import nearest
from vbench.models.settings import Precision
from vbench.pipeline.settings import HWACCELS, MAX_CALLS, FrameSize, Handoff, Mode
from vbench.video.exact_number import frame_rate
from vbench.video.pixel_format import PixelFormat

CHOICES: dict[str, tuple[str, ...]] = {
    "design": DESIGNS,
    "mode": get_args(Mode),
    "pipeline.handoff": get_args(Handoff),
    "pipeline.frame_size": get_args(FrameSize),
    "pipeline.pixel_format": get_args(PixelFormat),
    "model.precision": get_args(Precision),
    "tracking.name": ("sqlite", "off"),
    "load.name": ("closed", TRANSFER),
}

POSITIVE = (
    "model.batch_size",
    "pipeline.chunk_s",
    "pipeline.window",
    "pipeline.decode_timeout_s",
    "video.fetch_timeout_s",
    "load.requests",
    "load.concurrency",
    "load.timeout_s",
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

MOST_BLOCKS = 1000

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
    yield from rate("pipeline.fps", config.pipeline.fps)
    yield from _pipeline(config.pipeline)


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
            yield f"{key}={value} must be a number above 0, and not above {MOST:,}."
    if not 0 <= config.load.min_scene_map50 <= 1:
        yield f"load.min_scene_map50={config.load.min_scene_map50:g} must be from 0 (no floor) to 1."
    if not 0 <= config.load.warmup <= MOST:
        yield f"load.warmup={config.load.warmup} must be 0 or more, and not above {MOST:,}."
    if not 0 < config.load.max_machine_cpu_percent <= 100:
        yield (
            f"load.max_machine_cpu_percent={config.load.max_machine_cpu_percent:g} must lie above 0 and not"
            f" above 100."
        )
    if not 1 <= config.blocks <= MOST_BLOCKS:
        yield f"blocks={config.blocks} must lie between 1 and {MOST_BLOCKS}."
    if config.block < 0:
        yield f"block={config.block} must be 0 or more."
    if not 0 < config.model.score_threshold < 1:
        yield f"model.score_threshold={config.model.score_threshold} must lie between 0 and 1."
    if not 0 <= config.cluster.http_port <= 65535:
        yield f"cluster.http_port={config.cluster.http_port} must lie between 0 (any free one) and 65535."


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
        yield f"load.concurrency={config.load.concurrency} must not be above {MAX_CALLS:,}."
    if MOST_BATCH < config.model.batch_size <= MOST:
        yield f"model.batch_size={config.model.batch_size} must not be above {MOST_BATCH:,}."
    if not config.model.weights.strip():
        yield "model.weights= names no weights: give bundled, random, a file or a model's name."


def _pipeline(pipeline: PipelineConfig) -> Iterator[str]:
    for name in ("frames_budget_mb", "chunk_mb"):
        bound = getattr(pipeline, name)
        if bound is not None and not (math.isfinite(bound) and bound > 0):
            yield f"pipeline.{name}={bound} must be above 0, or null."
    if pipeline.queue_length is not None and not 0 <= pipeline.queue_length <= MAX_CALLS:
        yield (
            f"pipeline.queue_length={pipeline.queue_length} must be 0 to {MAX_CALLS}, or null for room for"
            " all requests of the trial."
        )
    if pipeline.hwaccel is not None and pipeline.hwaccel not in HWACCELS:
        yield f"pipeline.hwaccel={pipeline.hwaccel} does not exist: {nearest(pipeline.hwaccel, HWACCELS)}."


def rate(key: str, text: str) -> Iterator[str]:
    """A complaint if ``text`` is no frame rate."""
    try:
        frame_rate(text)
    except ValueError as error:
        yield f"{key}={text}: {error}."
