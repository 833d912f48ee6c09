"""Whether other programs used the trial's GPUs while requests were measured."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from vbench.config.schema import Config
from vbench.record.samples import MachineSample
from vbench.record.trial import Rule
from vbench.validity.catalog.machine import NO_FOREIGN_GPU


def judge(config: Config, machines: Sequence[MachineSample]) -> Iterator[Rule]:
    """The rule "nothing else used the GPUs"; none for a trial without a GPU, or for older records."""
    if not _uses_gpus(config):
        return
    percents: dict[tuple[str, int], list[float]] = {}
    others: dict[tuple[str, int], set[str]] = {}
    seen = set()
    # The first sample of each GPU is about the time before the measurement.
    for sample in machines:
        for gpu in sample.gpus:
            key = (sample.machine, gpu.gpu)
            if key in seen:
                if gpu.foreign_percent is not None:
                    percents.setdefault(key, []).append(gpu.foreign_percent)
                others.setdefault(key, set()).update(gpu.foreign_processes)
            seen.add(key)
    if not seen:
        return
    bound = config.load.max_foreign_gpu_percent
    means = {key: fmean(values) for key, values in percents.items()}
    unknown = [key for key in seen if key not in means and others.get(key)]
    (machine, number), percent = max(means.items(), key=lambda item: item[1], default=(("", 0), 0.0))
    named = sorted({name for key in means if means[key] > bound for name in others.get(key, ())})
    if unknown:
        machine, number = unknown[0]
        names = ", ".join(sorted(others[unknown[0]]))
        observed = (
            f"{names} compute on GPU {number} of {machine}, which does not report how much; limit {bound:g}%"
        )
    elif means:
        observed = f"other programs used {percent:.1f}% of GPU {number} of {machine}"
        observed += f" ({', '.join(named)})" if named else ""
        observed += f"; limit {bound:g}%"
    else:
        observed = "the GPUs do not report whose work they do, and no other process was seen on them"
    yield NO_FOREIGN_GPU.verdict(
        passed=not unknown and percent <= bound,
        observed=observed,
    )


def _uses_gpus(config: Config) -> bool:
    """Whether the trial uses GPUs, reserved in Ray or not."""
    is_reserved = any(node.gpus for node in config.cluster.nodes.values())
    return is_reserved or config.model.device != "cpu" or config.pipeline.hwaccel is not None
