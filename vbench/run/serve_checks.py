"""Refuses settings of Serve with which the built-in graph would not work, or that its load would not use."""

from collections.abc import Iterator, Mapping

from vbench.clusters.attached.validate import ATTACHED
from vbench.config.schema import Config
from vbench.config.workload import TRANSFERS, VIDEO, workload_of

GRPC = "RAY_SERVE_USE_GRPC_BY_DEFAULT"
OPTIMIZED = "RAY_SERVE_THROUGHPUT_OPTIMIZED"
INGRESS = "RAY_SERVE_ENABLE_DIRECT_INGRESS"
HAPROXY = "RAY_SERVE_ENABLE_HA_PROXY"
MESSAGE = "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"
MOST_BYTES = 2**31 - 1

GOES_DIRECT = {
    HAPROXY: "vbench counts requests in Serve's own proxy, in whose place HAProxy would be",
    INGRESS: "the load comes through Serve's proxy, and none would come to a replica directly",
}
"""Setting -> why a trial with it would not measure it."""


def serve_problems(config: Config) -> Iterator[str]:
    """One sentence for each setting that cannot be measured with the built-in graph."""
    env = config.runtime.env
    if config.runtime.python is not None and config.cluster.name == ATTACHED:
        yield (
            f"runtime.python={config.runtime.python} cannot be used with cluster=attached, whose nodes have a"
            f" Python of their own: leave it out, and install the other Ray on the nodes."
        )
    if workload_of(config) == TRANSFERS:
        yield from (
            f"runtime.env.{name}={value} is a setting of Serve, which load=transfer does not use: leave it"
            f" out, or use load=closed."
            for name, value in env.items()
            if name.startswith("RAY_SERVE_")
        )
        return
    for name, reason in GOES_DIRECT.items():
        if env.get(name) == "1":
            yield f"runtime.env.{name}=1 cannot be measured with this service: {reason}; leave it out."
    relays = workload_of(config) == VIDEO and config.pipeline.handoff == "relay"
    if relays and passes_values(env) and MESSAGE not in env:
        yield (
            "pipeline.handoff=relay passes frames by value with these settings, in messages of at most 4 MiB:"
            f" add runtime.env.{MESSAGE}={MOST_BYTES}, or use pipeline.handoff=direct."
        )


def passes_values(env: Mapping[str, str]) -> bool:
    """Whether Serve's handles pass values over gRPC by default."""
    return env.get(GRPC, env.get(OPTIMIZED, "0")) == "1"
