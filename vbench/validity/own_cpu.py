"""Whether the trial's processes that do no work on requests left the CPUs to those that do."""

from collections.abc import Iterator

from vbench.config.schema import Config
from vbench.config.workload import APP, VIDEO, workload_of
from vbench.record.condition_owners import HARNESS, LOAD
from vbench.record.cpu_by_role import AGENTS, CONTROLLER, GCS, PROXY, RAYLET, WORKERS, used_by_role
from vbench.record.measurements import Measurements
from vbench.record.nic_bytes import nic_bytes
from vbench.record.trial import Rule
from vbench.validity.catalog.machine import HARNESS_IS_CHEAP

BOUNDED = (HARNESS, LOAD, RAYLET, GCS, PROXY, CONTROLLER, AGENTS, WORKERS)

MOST_CORES = {HARNESS: 0.1, LOAD: 0.1}
MOST_CORES_OF_OTHERS = 0.2
"""Share of one core that a role may use. In honest trials on one node, harness and load process used 0.02 and
the others at most 0.06; on five emulated nodes, 0.06 and 0.13. A spinning thread takes a whole core, or its
share of one if others are ready to run."""

CORES_PER_NODE = 0.05
"""In addition, for each node after the first: each has a raylet, agents and queues to sample."""

START_S = {WORKERS: 3.0}
START_S_OF_OTHERS = 0.3
"""In addition, once, for trials of a few seconds. Ray may start a worker ahead of need, which takes a second
of CPU time."""

PER_REQUEST_S = {LOAD: 0.015, PROXY: 0.04}
"""In addition, CPU seconds per request. In honest trials on one node, at five requests per second and
including all other work of these processes, it was 0.004 and 0.011."""

PER_SAMPLE_S = 0.03
"""In addition, for harness and load process, per sample. In honest trials on one node, all work of these
processes came to 0.01 and 0.02."""

PER_HTTP_MB_S = 0.1
"""In addition, for load process and proxy, per MB of the responses and of an application's requests."""

PER_MOVED_GB_S = 40.0
"""In addition, for the raylets, per GB that had to move between nodes."""


def judge(config: Config, measured: Measurements) -> Iterator[Rule]:
    """The rule; none for older records without CPU seconds by role."""
    requests, machines = measured.requests, measured.machines
    used_s, measured_s = used_by_role(machines)
    if not used_s:
        return
    nodes = len(config.cluster.nodes)
    http_mb = sum(one.answer_bytes + one.request_bytes for one in requests) / 1e6
    problems = []
    shares = {}
    for role in BOUNDED:
        if role == WORKERS and workload_of(config) != VIDEO:
            continue  # these are a transfer's sender and receiver, or an application's tasks and actors
        cores = MOST_CORES.get(role, MOST_CORES_OF_OTHERS) + CORES_PER_NODE * (nodes - 1)
        bound_s = START_S.get(role, START_S_OF_OTHERS) + cores * measured_s
        if role in PER_REQUEST_S:
            bound_s += PER_REQUEST_S[role] * len(requests) + PER_HTTP_MB_S * http_mb
        if role in (HARNESS, LOAD):
            bound_s += PER_SAMPLE_S * len(machines)
        if role == RAYLET:
            bound_s += PER_MOVED_GB_S * _moved_bytes(config, measured) / 1e9
        shares[role] = used_s[role] / measured_s
        if used_s[role] > bound_s:
            problems.append(
                f"the {role} used {used_s[role]:.1f} s of CPU time in {measured_s:.1f} s, limit"
                f" {bound_s:.1f} s"
            )
    most = max(shares, key=lambda role: shares[role])
    yield HARNESS_IS_CHEAP.verdict(
        passed=not problems,
        observed="; ".join(problems) or f"the {most} used the most CPU, {shares[most]:.0%} of a core",
    )


def _moved_bytes(config: Config, measured: Measurements) -> int:
    """Bytes that had to move between nodes; for an application, of which that is not known, those sent."""
    return (
        sum(one.sent for one in nic_bytes(measured.nodes).values())
        if workload_of(config) == APP
        else measured.transferred_bytes
    )
