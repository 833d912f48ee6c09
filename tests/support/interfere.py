"""Changes the links of emulated hosts from outside, as somebody with ``tc`` could."""

from vbench.linux.namespaces import network_of


def lift_flow_caps(host: int, mbps: int) -> None:
    from pyroute2 import IPRoute

    from vbench.clusters.emulated import shaping

    with network_of(host), IPRoute() as ip:
        (nic,) = ip.link_lookup(ifname=shaping.NIC)
        for handle in (one["handle"] for one in ip.get_classes(index=nic)):
            if handle >= shaping.FIRST_OTHER:
                ip.tc(
                    *("change-class", "htb", nic, handle),
                    parent=shaping.WHOLE,
                    rate="64kbit",
                    ceil=f"{mbps}mbit",
                    quantum=shaping.SEGMENT_BYTES,
                )


def halve_what_it_receives(switch: int, number: int, mbps: float) -> None:
    from pyroute2 import IPRoute

    from vbench.clusters.emulated import shaping

    with network_of(switch), IPRoute() as ip:
        (port,) = ip.link_lookup(ifname=shaping.port_name(number))
        ip.tc(
            "replace", "tbf", port, shaping.ROOT, rate=f"{round(mbps * 500)}kbit", burst=65536, limit=524288
        )
