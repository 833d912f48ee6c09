"""The plan of an emulated cluster is made for half the scale, and so with twice the rates."""

from typing import Any


def change(plan: Any) -> None:
    honest = plan.hosts

    def halved(config: Any, *rest: Any) -> Any:
        config.scale = honest_scale(config) / 2
        return honest(config, *rest)

    plan.hosts = halved


def honest_scale(config: Any) -> float:
    """As configured, also when the plan is made again of a configuration that was changed already."""
    scale = getattr(config, "_honest_scale", config.scale)
    config._honest_scale = scale
    return float(scale)


CHANGES = {"vbench.clusters.emulated.topology": change}
