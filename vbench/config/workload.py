"""What a configuration measures: the built-in video service, transfers, or a user's application."""

from collections.abc import Mapping
from typing import Any, Literal

from vbench.config.schema import Config
from vbench.config.transfer import TRANSFER

Workload = Literal["video", "transfer", "app"]

VIDEO: Workload = "video"
TRANSFERS: Workload = "transfer"
APP: Workload = "app"


def workload_of(config: Config) -> Workload:
    """The workload of a configuration; ``load=transfer`` alone is the workload ``transfer``."""
    return _workload(config.load.name, config.workload)


def workload_of_plain(config: Mapping[str, Any]) -> Workload:
    """The same for a configuration as plain values, which in older records has no key ``workload``."""
    return _workload(config["load"]["name"], config.get("workload", VIDEO))


def _workload(load: str, workload: str) -> Workload:
    if workload == APP:
        return APP
    return "transfer" if load == TRANSFER else VIDEO
