"""Checks all links of an emulated cluster in rounds of transfers that do not disturb each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from vbench.clusters.emulated import link_check
from vbench.clusters.emulated.host import SETUP_S, HostError, RunningHost, request_all
from vbench.record.network import LinkCheck


def check_links(
    hosts: Sequence[RunningHost], congestion_control: str, measure_s: float = link_check.MEASURE_S
) -> list[LinkCheck]:
    """One flow, then as many as fill the NIC, from each host to the next, concurrently if they do not disturb
    each other; then several into a NIC that none fills alone.

    HostError if a connection's congestion control is not that asked for.
    """
    request_all(hosts, "listen")
    by_name = {host.host.name: host for host in hosts}
    checks: list[LinkCheck] = []
    ring = link_check.pairs([host.host for host in hosts])
    for flows_of in (_single_flow, link_check.flows_to_fill):
        planned = [(sender, receiver, flows_of(sender, receiver)) for sender, receiver in ring]
        for together in link_check.rounds(planned):
            running = [(by_name[one.name], by_name[other.name], flows) for one, other, flows in together]
            for pair, check in zip(
                running, _check_round(running, congestion_control, measure_s), strict=True
            ):
                checks.append(_retry(check, partial(_check_one, pair, congestion_control, measure_s)))
    together_in = link_check.fan_in([host.host for host in hosts])
    if together_in is not None:
        receiver = by_name[together_in[0].name]
        senders = [by_name[host.name] for host in together_in[1]]
        check = _check_fan_in(receiver, senders, congestion_control, measure_s)
        checks.append(_retry(check, partial(_check_fan_in, receiver, senders, congestion_control, measure_s)))
    return checks


def _retry(check: LinkCheck, once_more: Callable[[], LinkCheck]) -> LinkCheck:
    """Check a link that seems to be off again, alone, in case the machine was busy for a moment."""
    for number in range(2, link_check.TRIES + 1):
        if link_check.link_problem(check) is None:
            break
        check = replace(once_more(), tries=number)
    return check


def _check_one(
    pair: tuple[RunningHost, RunningHost, int], congestion_control: str, measure_s: float
) -> LinkCheck:
    (check,) = _check_round([pair], congestion_control, measure_s)
    return check


def _check_fan_in(
    receiver: RunningHost, senders: Sequence[RunningHost], congestion_control: str, measure_s: float
) -> LinkCheck:
    """Check that several hosts fill a NIC that is wider than any of theirs."""
    flows = [link_check.flows_to_fill(sender.host, receiver.host) for sender in senders]
    receiver.send("check", peer=None, flows=0, incoming=sum(flows), measure_s=measure_s)
    for sender, count in zip(senders, flows, strict=True):
        sender.send("check", peer=receiver.host.ip, flows=count, incoming=0)
    measured_mbps, used_control = receiver.receive(SETUP_S)
    for sender in senders:
        sender.receive(SETUP_S)
    _same_control(receiver, used_control, congestion_control)
    sent_mbps = sum(
        link_check.expected_mbps(sender.host, receiver.host, count)
        for sender, count in zip(senders, flows, strict=True)
    )
    return LinkCheck(
        sender="+".join(sender.host.name for sender in senders),
        receiver=receiver.host.name,
        flows=sum(flows),
        expected_mbps=min(sent_mbps, receiver.host.nic_mbps),
        measured_mbps=measured_mbps,
    )


def _same_control(host: RunningHost, used: str, asked: str) -> None:
    if used != asked:
        raise HostError(
            f"TCP congestion control on host {host.host.name} is {used}, not {asked}: load it into the"
            f" kernel (modprobe tcp_{asked}), or choose cluster.congestion_control={used}"
        )


def _single_flow(*_: object) -> int:
    return 1


def _check_round(
    pairs: Sequence[tuple[RunningHost, RunningHost, int]], congestion_control: str, measure_s: float
) -> list[LinkCheck]:
    sends = {sender.host.name: (receiver, flows) for sender, receiver, flows in pairs}
    receives = {receiver.host.name: flows for _, receiver, flows in pairs}
    involved = {host.host.name: host for pair in pairs for host in pair[:2]}
    for name, host in involved.items():
        peer, flows = sends.get(name, (None, 0))
        ip = peer.host.ip if peer else None
        incoming = receives.get(name, 0)
        host.send("check", peer=ip, flows=flows, incoming=incoming, measure_s=measure_s)
    answers = {name: host.receive(SETUP_S) for name, host in involved.items()}
    received = {name: answers[name][0] for name in receives}
    for name in receives:
        _same_control(involved[name], answers[name][1], congestion_control)
    return [
        LinkCheck(
            sender=sender.host.name,
            receiver=receiver.host.name,
            flows=flows,
            expected_mbps=link_check.expected_mbps(sender.host, receiver.host, flows),
            measured_mbps=received[receiver.host.name],
        )
        for sender, receiver, flows in pairs
    ]
