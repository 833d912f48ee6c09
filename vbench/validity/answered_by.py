"""Whether only the trial's own graph answered."""

from collections.abc import Iterator, Sequence

from vbench.ray_internals.processes import is_haproxy, replica_deployment
from vbench.record.load_report import Graph, Listener
from vbench.record.requests import Request, SpanLine
from vbench.record.trial import Rule
from vbench.validity.catalog.service import OWN_DEPLOYMENT, OWN_PROXY, OWN_REPLICAS
from vbench.validity.first_problem import first_problem

ALL_PERCENT = 100.0


def judge(graph: Graph, requests: Sequence[Request], spans: Sequence[SpanLine]) -> Iterator[Rule]:
    """Who answered, who listened, and whether the replicas stayed the same."""
    yield _identity(graph, requests)
    yield _placement(graph, requests, spans)
    yield only_own_listeners(graph.listeners)


def _identity(graph: Graph, requests: Sequence[Request]) -> Rule:
    """Each replica that worked on a request repeats an id that only this trial's graph was given."""
    problems = []
    answered = [request for request in requests if request.error is None]
    for request in answered:
        if not request.replicas:
            problems.append(f"request {request.index} does not say which deployment answered it")
        for one in request.replicas:
            if one.deployment_id != graph.deployment_id:
                given = one.deployment_id or "none"
                problems.append(
                    f"request {request.index} was answered by {one.replica} of deployment {given}"
                )
    return OWN_DEPLOYMENT.verdict(
        passed=bool(answered) and not problems,
        observed=(
            f"{first_problem(problems)}; this trial's is {graph.deployment_id}"
            if problems
            else f"deployment {graph.deployment_id} answered {len(answered)} requests"
        ),
    )


def _placement(graph: Graph, requests: Sequence[Request], spans: Sequence[SpanLine]) -> Rule:
    """Every span and report comes from a replica that Serve placed, on the node where it was placed."""
    placed = {one.replica: one.node for one in graph.replicas_before}
    seen = [(span.replica, span.node, span.request) for span in spans]
    seen += [(one.replica, one.node, request.index) for request in requests for one in request.replicas]
    strangers = [
        f"request {index} has work of {replica} on {node}"
        + (f", which is on {placed[replica]}" if replica in placed else "")
        for replica, node, index in dict.fromkeys(seen)
        if placed.get(replica) != node
    ]
    changed = {one.replica for one in graph.replicas_before} ^ {one.replica for one in graph.replicas_after}
    problems = [f"{first_problem(strangers)}; this is not in the trial's placement"] if strangers else []
    if changed:
        problems.append(f"replicas came or went while requests were measured: {', '.join(sorted(changed))}")
    return OWN_REPLICAS.verdict(
        passed=bool(placed) and not problems,
        observed="; ".join(problems) or f"{len(placed)} replicas, the same before and after",
    )


def only_own_listeners(listeners: Sequence[Listener]) -> Rule:
    """Whether only the trial's own Serve took connections on the port, all the time."""
    others = [one for one in listeners if not one.own]
    own = [one for one in listeners if one.own]
    ports = {one.port for one in own}
    gaps = [one for one in own if one.present_percent < ALL_PERCENT]
    if others:
        who = f"process {others[0].pid} ({others[0].command})" if others[0].pid else "an unknown process"
        observed = f"{who} also listened on the port, {others[0].present_percent:.0f}% of the time"
    elif len(own) > len(ports) or gaps:
        observed = f"the proxy was replaced or came late: {len(own)} sockets listened one after another"
    else:
        observed = f"only {_who(own)} listened, all the time" if own else "no process was seen to listen"
    return OWN_PROXY.verdict(
        passed=len(own) == len(ports) > 0 and not others and not gaps,
        observed=observed,
    )


def _who(own: Sequence[Listener]) -> str:
    """The listeners in words; with direct ingress each replica has a port."""
    if any(replica_deployment(one.command) for one in own):
        return "this trial's replica" if len(own) == 1 else f"this trial's {len(own)} replicas"
    return "this trial's HAProxy" if any(is_haproxy(one.command) for one in own) else "this trial's proxy"
