"""Assigns processes to nodes, and adds up what they use."""

import os
from collections.abc import Mapping, Sequence

from vbench.linux import nics, procfs
from vbench.telemetry.cpu_account import CpuAccount


class NodeProcesses:
    """Assigns processes to nodes, and samples their CPU time and memory."""

    def __init__(self, raylets: Mapping[str, int], *, shaped: bool, roots: Sequence[int] = ()) -> None:
        """``raylets``: node -> process id. ``shaped``: whether each node is a network namespace; else there
        is one node: all below ``roots``, or without roots, below its raylet's parent and this process.
        """
        self._roots = roots
        self._raylets = raylets
        self._shaped = shaped
        self._spaces = {nics.namespace(pid): node for node, pid in raylets.items()} if shaped else {}
        self._known: dict[tuple[int, int], str | None] = {}
        """(pid, start) -> node; a process stays in the namespace it has begun in."""
        self._accounts = {node: CpuAccount() for node in raylets}

    def sample(self) -> tuple[dict[str, float], dict[str, int]]:
        """CPU seconds and bytes of private memory of each node's processes.

        Those that have ended are included, whoever waited for them: vbench.telemetry.cpu_account.
        """
        stats = procfs.all_stats()
        private = dict.fromkeys(self._raylets, 0)
        members: dict[str, list[int]] = {node: [] for node in self._raylets}
        for pid, node in self._nodes(stats).items():
            members[node].append(pid)
            private[node] += procfs.private_bytes(pid)
        cpu_s = {node: account.sample(stats, members[node]) for node, account in self._accounts.items()}
        return cpu_s, private

    def _nodes(self, stats: Mapping[int, procfs.Stat]) -> dict[int, str]:
        if not self._shaped:
            ((node, raylet),) = self._raylets.items()
            # ``ray start`` is the parent of all that a node consists of; the load process is beside it.
            here = [stats[raylet].parent, os.getpid()] if raylet in stats else []
            roots = self._roots or here
            return dict.fromkeys(procfs.descendants(stats, roots), node)
        keys = {(pid, line.started): pid for pid, line in stats.items()}
        self._known = {
            key: self._known[key] if key in self._known else self._spaces.get(nics.namespace(pid))
            for key, pid in keys.items()
        }
        return {keys[key]: node for key, node in self._known.items() if node is not None}
