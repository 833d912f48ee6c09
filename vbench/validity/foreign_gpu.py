"""Whether others used a GPU that the trial uses while its requests were measured."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from vbench.config.schema import Config
from vbench.record.types import MachineSample, Rule


def judge(config: Config, machines: Sequence[MachineSample]) -> Iterator[Rule]:
    """The rule "nothing else used the GPUs"; none for a trial without one, or for records that do not
    know."""
    if not _uses_gpus(config):
        return
    percents: dict[tuple[str, int], list[float]] = {}
    others: dict[tuple[str, int], set[str]] = {}
    seen = set()
    # The first sample of each GPU is about the time before.
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
        found = (
            f"{names} compute on GPU {number} of {machine}, which does not tell how much; bound {bound:g}%"
        )
    elif means:
        found = f"others used {percent:.1f}% of GPU {number} of {machine}"
        found += f" ({', '.join(named)})" if named else ""
        found += f"; bound {bound:g}%"
    else:
        found = "the GPUs do not tell whose work they do, and no other process was seen on them"
    yield Rule(
        name="nothing else used the GPUs",
        holds=not unknown and percent <= bound,
        found=found,
        remedy="stop what else computes on the GPU (nvidia-smi lists it) and run again",
    )


def _uses_gpus(config: Config) -> bool:
    """A process may use a GPU that Ray is not told of."""
    is_reserved = any(node.gpus for node in config.cluster.nodes.values())
    return is_reserved or config.model.device != "cpu" or config.pipeline.hwaccel is not None
