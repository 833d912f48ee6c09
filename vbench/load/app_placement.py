"""Refuses an application with replicas for which no node of the cluster has the resources."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vbench.errors import InputError, first_line, nearest
from vbench.load.serve_config import LoadedApplication
from vbench.ray_internals.applications import DeploymentNeeds, deployment_needs

Resources = Mapping[str, float]

NOT_JUDGED = ("memory", "object_store_memory")
"""Resources of which Ray itself decides how much a node has."""

OF_RAY = ("node:", "accelerator_type:")
"""Beginnings of the names of resources that Ray gives to nodes itself."""

ENOUGH = 1 - 1e-6
"""Ray counts resources in units of 0.0001."""


def check_placement(applications: Sequence[LoadedApplication], key: str, nodes: Sequence[Resources]) -> None:
    """InputError that begins with ``key`` if a replica of one of the applications has no place on nodes with
    these resources, or options are for a deployment that there is not."""
    needs: list[DeploymentNeeds] = []
    for one in applications:
        try:
            its = deployment_needs(one.application, one.name, one.overrides)
        except Exception as error:
            raise InputError(f"{one.key}: Serve refuses it: {first_line(error)}.") from error
        names = [deployment.name for deployment in its]
        for name in one.overrides:
            if name not in names:
                raise InputError(f"{one.key} has no deployment '{name}': {nearest(name, names)}.")
        needs += its
    for problem in placement_problems(needs, nodes):
        raise InputError(f"{key}: {problem}.")


def placement_problems(needs: Iterable[DeploymentNeeds], nodes: Sequence[Resources]) -> Iterator[str]:
    """One sentence for each deployment without a place, then for each resource that does not suffice."""
    total: Counter[str] = Counter()
    users: dict[str, list[str]] = {}
    for deployment in needs:
        for bundle in map(_judged, deployment.bundles):
            if not any(_fits(bundle, node) for node in nodes):
                yield _no_node(deployment.name, bundle, nodes)
            for resource, amount in bundle.items():
                total[resource] += amount * deployment.replicas  # type: ignore[assignment] # parts of CPUs
                users.setdefault(resource, []).append(f"{deployment.replicas} x {deployment.name}")
    for resource, amount in total.items():
        has = sum(node.get(resource, 0) for node in nodes)
        if has < amount * ENOUGH:
            yield (
                f"its replicas ({', '.join(dict.fromkeys(users[resource]))}) need {amount:g} {resource}"
                f" together, and the cluster has {has:g}: {_remedy(resource)}"
            )


def _judged(bundle: Resources) -> dict[str, float]:
    return {
        name: amount
        for name, amount in bundle.items()
        if amount and name not in NOT_JUDGED and not name.startswith(OF_RAY)
    }


def _fits(bundle: Resources, node: Resources) -> bool:
    return all(node.get(name, 0) >= amount * ENOUGH for name, amount in bundle.items())


def _no_node(deployment: str, bundle: Resources, nodes: Sequence[Resources]) -> str:
    """Names the resource that no node has enough of, or those that no node has together."""
    start = f"a replica of {deployment} needs"
    for resource, amount in bundle.items():
        most = max((node.get(resource, 0) for node in nodes), default=0)
        if most >= amount * ENOUGH:
            continue
        if most:
            return f"{start} {amount:g} {resource}, and no node has more than {most:g}: {_remedy(resource)}"
        known = {name for node in nodes for name, has in node.items() if has and not name.startswith(OF_RAY)}
        return (
            f"{start} the resource {resource}, which no node has: {nearest(resource, known)}; correct its"
            f" ray_actor_options, or add it to a node (cluster.nodes.NAME.resources.{resource}=1)"
        )
    together = " and ".join(f"{amount:g} {resource}" for resource, amount in bundle.items())
    return f"{start} {together} on one node, and no node has all of it: change its ray_actor_options"


def _remedy(resource: str) -> str:
    """For a resource of which nodes have some."""
    if resource in ("CPU", "GPU"):
        field = resource.lower()
        return f"lower num_{field}s in ray_actor_options, or raise cluster.nodes.NAME.{field}s"
    return f"lower it in ray_actor_options, or raise cluster.nodes.NAME.resources.{resource}"
