"""What an emulated cluster requires of the kernel, each tried in a process of its own.

``python -m vbench.clusters.emulated.requirements CONGESTION_CONTROL`` makes two small hosts and a link, and
prints what works as JSON; ``check_requirements`` runs it and reads that.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vbench.errors import last_reason
from vbench.linux import namespaces

TRY_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One thing that an emulated cluster requires."""

    name: str
    is_met: bool
    observed: str
    remedy: str
    """What to do if it is not met."""


NAMESPACES = (
    "allow user namespaces (sysctl user.max_user_namespaces above 0; on Ubuntu"
    " kernel.apparmor_restrict_unprivileged_userns=0; in Docker --security-opt seccomp=unconfined or"
    " --privileged), or run as root"
)
BUSY = "try again when the machine is less busy"
BROKEN = "run python -m vbench.clusters.emulated.requirements cubic to see the whole error"


def modules(*names: str) -> str:
    """The remedy if one of these modules of the kernel is missing."""
    listed = " and ".join(names)
    return f"load the kernel's {listed} (modprobe -a {' '.join(names)}), or use a kernel that has them"


def check_requirements(congestion_control: str = "cubic") -> list[Requirement]:
    """All requirements, tried now; the list may end after the first that is not met."""
    command = [sys.executable, "-m", "vbench.clusters.emulated.requirements", congestion_control]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRY_S, check=False)
    except subprocess.TimeoutExpired:
        return [
            Requirement(
                name="namespaces", is_met=False, observed=f"no response within {TRY_S:g} s", remedy=BUSY
            )
        ]
    requirements = [Requirement(**json.loads(line)) for line in done.stdout.splitlines()]
    if not requirements or (done.returncode and all(requirement.is_met for requirement in requirements)):
        last = last_reason(done.stderr, f"status {done.returncode}")
        after = f"the requirement after '{requirements[-1].name}'" if requirements else "namespaces"
        requirements.append(Requirement(name=after, is_met=False, observed=last, remedy=BROKEN))
    return requirements


def _attempted(name: str, remedy: str, attempt: Callable[[], object]) -> Requirement:
    try:
        observed = attempt()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found
        said = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        return Requirement(name=name, is_met=False, observed=said, remedy=remedy)
    return Requirement(name=name, is_met=True, observed=str(observed or "works"), remedy=remedy)


def _all(congestion_control: str) -> Iterator[Requirement]:
    """Each requirement in turn, within the namespaces that the first has made."""
    yield _attempted("tmpfs mounts", NAMESPACES, _mounts)
    from pyroute2 import IPRoute

    from vbench.clusters.emulated import shaping
    from vbench.clusters.emulated.topology import Host
    from vbench.linux.tcp_connections import tcp_connections_of

    def link() -> None:
        with IPRoute() as ip:
            ip.link("add", ifname="b0", kind="bridge")
            ip.link("add", ifname="v0", kind="veth", peer={"ifname": shaping.NIC})

    def classes() -> None:
        host = Host(name="try", ip="10.77.0.1", nic_mbps=100, flow_mbps=10, shm_mb=1)
        shaping.configure_host(host, available[0], data_classes=2)

    def congestion() -> None:
        if congestion_control not in available:
            raise OSError(f"this kernel has {', '.join(available)}")

    def connections() -> None:
        with tcp_connections_of(os.getpid()) as remotes:
            remotes.by_peer()

    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    yield _attempted("bridge and veth links", modules("veth", "bridge"), link)
    yield queueing("htb", default=1)
    yield queueing("tbf", rate="10mbit", burst=65536, limit=100000)
    yield _attempted("nftables with connection marks", modules("nf_tables", "nft_ct", "nft_numgen"), classes)
    yield _attempted("counting connections", modules("inet_diag", "tcp_diag"), connections)
    yield _attempted(
        f"TCP congestion control {congestion_control}",
        f"set cluster.congestion_control to one of: {', '.join(available)}; or load it into the kernel"
        f" (modprobe tcp_{congestion_control})",
        congestion,
    )


def queueing(kind: str, **options: Any) -> Requirement:
    """A queueing discipline of the kernel, tried in this network namespace."""
    from pyroute2 import IPRoute

    def attempt() -> None:
        with IPRoute() as ip:
            ip.link("add", ifname=f"q{kind}", kind="bridge")
            ip.tc("add", kind, ip.link_lookup(ifname=f"q{kind}")[0], 0x10000, **options)

    return _attempted(f"{kind.upper()} queues", modules("bridge", f"sch_{kind}"), attempt)


def _mounts() -> None:
    namespaces.private_mounts()
    namespaces.mount_proc()
    namespaces.mount_memory("/dev/shm", 1)


def main() -> int:
    """Try all, a JSON line each."""
    namespaces.die_with_parent()
    kinds = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWPID
    made = _attempted(
        "user, network, mount and PID namespaces", NAMESPACES, lambda: namespaces.new_root(kinds)
    )
    print(json.dumps(asdict(made)), flush=True)
    if not made.is_met:
        return 0
    # New credentials have made the kernel forget it.
    namespaces.die_with_parent()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            namespaces.die_with_parent()
            for requirement in _all(sys.argv[1]):
                print(json.dumps(asdict(requirement)), flush=True)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
