"""What test transfers over emulated links found, as text, before and after a trial."""

from collections.abc import Sequence

from vbench.record.network import LinkCheck


def worst_check(checks: Sequence[LinkCheck]) -> LinkCheck | None:
    """The check whose rate is furthest off; None if there is none."""
    return max(checks, key=lambda check: check.error, default=None)


def describe_checks(checks: Sequence[LinkCheck], tolerance: float) -> str:
    """How many checks are more than ``tolerance`` off, as a share of the expected rate, and the worst."""
    worst = worst_check(checks)
    if worst is None:
        return "no link was checked"
    off = sum(check.error > tolerance for check in checks)
    return (
        f"{len(checks)} test transfers, {off} more than {tolerance:.0%} off; worst: {worst.sender} to"
        f" {worst.receiver}, {worst.flows} at a time, {worst.measured_mbps:.4g} of {worst.expected_mbps:.4g}"
        f" Mbit/s"
    )
