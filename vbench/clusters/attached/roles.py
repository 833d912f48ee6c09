"""Which nodes of a running cluster take the service, the decoders and the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vbench.clusters.attached.discovery import CHUNK, DECODE, HEAD, INFER
from vbench.config.quoting import shell_quoted
from vbench.config.schema import NodeConfig
from vbench.errors import InputError

KEY = "cluster.deployments.inference.nodes"
"""The key that names the nodes of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Names of the nodes for each of the three stages; a node may be in several."""

    service: tuple[str, ...]
    decoder: tuple[str, ...]
    inference: tuple[str, ...]


def assign(nodes: Mapping[str, NodeConfig], *, on_gpu: bool, given: Mapping[str, Sequence[str]]) -> Roles:
    """The nodes of each stage, by the resources that mark a role, else by these rules.

    The model goes to nodes with a GPU, else to the last node without a role; decoders to the nodes that are
    left, else to the head if it has CPUs, else to those of the model; the service to the decoders'. The head
    takes part only if nothing else is left for a stage.

    Args:
        nodes: by name, head first.
        on_gpu: whether the model runs on a GPU.
        given: stage -> its nodes, for each that the configuration places.

    Raises:
        InputError: the roles do not say where a stage goes; the message has the override that does.
    """
    if len(nodes) == 1:
        return _with_given(dict.fromkeys(("service", "decoder", "inference"), tuple(nodes)), given)
    free = [name for name, node in nodes.items() if name != HEAD and not _has_role(node)]
    inference = tuple(given.get("inference", ())) or _of_model(nodes, free, on_gpu=on_gpu, given=given)
    left = [name for name in free if name not in inference]
    with_cpus = (HEAD,) if nodes[HEAD].cpus else ()
    decoder = (
        tuple(given.get("decoder", ()))
        or _holders(nodes, DECODE)
        or tuple(left)
        or tuple(name for name in _holders(nodes, CHUNK) if name not in inference)
        or with_cpus
        or inference
    )
    service = tuple(given.get("service", ())) or _holders(nodes, CHUNK) or decoder
    return Roles(service=service, decoder=decoder, inference=inference)


def _with_given(every: Mapping[str, tuple[str, ...]], given: Mapping[str, Sequence[str]]) -> Roles:
    return Roles(**{stage: tuple(given.get(stage, ())) or names for stage, names in every.items()})


def _of_model(
    nodes: Mapping[str, NodeConfig], free: Sequence[str], *, on_gpu: bool, given: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    marked = _holders(nodes, INFER)
    with_gpu = tuple(name for name, node in nodes.items() if node.gpus)
    if on_gpu:
        marked = tuple(name for name in marked if name in with_gpu)
        if not with_gpu:
            raise InputError(
                "model.device=cuda, but no node of the cluster has a GPU that Ray knows of: give"
                " model.device=cpu, or start a node with 'ray start --num-gpus'."
            )
    if marked or with_gpu:
        return marked or with_gpu
    taken = given.get("decoder", ())
    unused = [name for name in free if name not in taken]
    if unused:
        # Without a node for decoders the model takes one node only, and the others are theirs.
        return tuple(unused) if taken or _holders(nodes, DECODE) else (unused[-1],)
    example = f"{KEY}=[{list(nodes)[-1]}]"
    raise InputError(
        f"no node of the cluster ({', '.join(nodes)}) is for the model: none has a GPU or the resource"
        f" {INFER}, and each has another role: choose one, as in {shell_quoted(example)}."
    )


def _holders(nodes: Mapping[str, NodeConfig], resource: str) -> tuple[str, ...]:
    return tuple(name for name, node in nodes.items() if resource in node.resources)


def _has_role(node: NodeConfig) -> bool:
    return bool(node.gpus) or any(resource in node.resources for resource in (CHUNK, DECODE, INFER))
