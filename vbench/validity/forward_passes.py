"""Whether the network's forward passes match the batch size and the calls' frames."""

from collections.abc import Iterator, Sequence

from vbench.config.schema import Config
from vbench.models.settings import ModelSettings
from vbench.pipeline.reports import CallWork
from vbench.record.requests import Request
from vbench.validity.span_sets import DEPLOYMENTS

MODEL = DEPLOYMENTS["infer"]


def problems(config: Config, requests: Sequence[Request]) -> Iterator[str]:
    """What differs, as text; nothing for older records, in which the network was not observed.

    A batch takes the oldest frames that wait (``vbench.pipeline.batching``). So there is one pass per batch;
    each pass over frames of a call is full, except for that with the call's last frame; and all passes of a
    replica together hold the frames of its calls and no others.
    """
    answered = [request for request in requests if request.error is None]
    for request in answered:
        for one in request.replicas:
            if one.deployment == MODEL:
                seen = {work.call: work for work in one.work}
                for number, frames, batches in one.calls:
                    if number in seen:
                        yield from _of_call(config.model, request.index, frames, batches, seen[number])
    if len(answered) == len(requests):  # passes over frames of a request that failed are in no record
        yield from _of_replicas(config.model, answered)


def is_filled(model: ModelSettings) -> bool:
    """Whether passes are padded with empty pictures: compiled networks and CUDA graphs have fixed sizes."""
    return model.compile or (model.cuda_graph and model.device != "cpu")


def _of_call(model: ModelSettings, request: int, frames: int, batches: int, work: CallWork) -> Iterator[str]:
    sizes = [size for _, size in work.passes]
    full = sizes if model.compile else sizes[:-1]
    if len(sizes) != batches:
        why = f"although they were in {batches} batches"
    elif any(size != model.batch_size for size in full) or max(sizes, default=0) > model.batch_size:
        why = f"which does not match model.batch_size={model.batch_size}"
    elif sum(sizes) < frames:
        why = "which is too few"
    else:
        return
    yield (
        f"for {frames} frames of request {request} the network ran {len(sizes)} forward passes"
        f" (of {_listed(sizes)} frames), {why}"
    )


def _listed(sizes: Sequence[int]) -> str:
    """The first sizes: there may be thousands."""
    return ", ".join(map(str, sizes[:8])) + (", ..." if len(sizes) > 8 else "") or "no"


def _of_replicas(model: ModelSettings, answered: Sequence[Request]) -> Iterator[str]:
    passes: dict[str, dict[int, int]] = {}
    frames: dict[str, int] = {}
    for one in (one for request in answered for one in request.replicas):
        if one.deployment != MODEL:
            continue
        if len(one.work) != len(one.calls):
            return
        frames[one.replica] = frames.get(one.replica, 0) + sum(call[1] for call in one.calls)
        own = passes.setdefault(one.replica, {})
        for number, size in (forward_pass for work in one.work for forward_pass in work.passes):
            if own.setdefault(number, size) != size:
                yield f"forward pass {number} of {one.replica} had {own[number]} frames and {size} frames"
    for replica, own in passes.items():
        if not own:
            continue
        unknown = max(own) - min(own) + 1 - len(own)
        if unknown:
            yield f"the network of {replica} ran {unknown} forward passes that belong to no call"
        total = sum(own.values())
        if total < frames[replica] or (total != frames[replica] and not is_filled(model)):
            yield f"the network of {replica} was given {total} frames, but its calls had {frames[replica]}"
