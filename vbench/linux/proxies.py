"""Keeps a trial's own traffic away from the proxies in the user's environment.

curl, requests, urllib and gRPC all read ``http_proxy`` and its relatives. A trial's cluster is on loopback,
in namespaces of this machine or at an address that the user gave, so nothing that connects to it may use a
proxy. Other addresses, such as a video's, still use it.
"""

from collections.abc import Iterable, Mapping

LOCAL_HOSTS = ("localhost", "127.0.0.1", "127.0.0.2", "::1")
"""``cluster.local`` uses 127.0.0.2, Serve and every client 127.0.0.1."""

NO_PROXY = ("no_proxy", "NO_PROXY", "no_grpc_proxy")
"""Variables with exceptions; gRPC prefers the last one if it is set."""

GRPC_OPTIONS = (("grpc.enable_http_proxy", 0),)
"""For every gRPC channel to a trial's cluster."""


def bypassed(env: Mapping[str, str], hosts: Iterable[str] = ()) -> dict[str, str]:
    """``env`` with this machine's loopback addresses and ``hosts`` excepted from every proxy."""
    result = dict(env)
    wanted = [*LOCAL_HOSTS, *hosts]
    for name in NO_PROXY:
        if name == "no_grpc_proxy" and name not in env:
            continue  # unset, gRPC reads no_proxy
        listed = [host.strip() for host in env.get(name, "").split(",") if host.strip()]
        result[name] = ",".join(dict.fromkeys([*listed, *wanted]))
    return result
