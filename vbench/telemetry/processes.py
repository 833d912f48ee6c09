"""Which processes are of which node, and what they use."""

import os
from collections.abc import Mapping, Sequence

from vbench import procfs
from vbench.telemetry import nics


class NodeProcesses:
    """Tells which processes are of which node."""

    def __init__(self, raylets: Mapping[str, int], *, shaped: bool, roots: Sequence[int] = ()) -> None:
        """``raylets``: node -> process id. ``shaped``: whether each node is a network namespace; else there
        is one node: all below ``roots``, or where there are none, below its raylet's parent and this process.
        """
        self._roots = roots
        self._raylets = raylets
        self._shaped = shaped
        self._spaces = {nics.namespace(pid): node for node, pid in raylets.items()} if shaped else {}
        self._known: dict[tuple[int, int], str | None] = {}
        """(pid, start) -> node; a process stays in the namespace it has begun in."""
        self._most_s = dict.fromkeys(raylets, 0.0)

    def look(self) -> tuple[dict[str, float], dict[str, int]]:
        """CPU seconds and bytes of private memory of each node's processes.

        A process that has ended counts with the parent that waited for it. What is lost when nobody of the
        node did is not taken back from the sum.
        """
        stats = procfs.all_stats()
        private = dict.fromkeys(self._raylets, 0)
        cpu_s = dict.fromkeys(self._raylets, 0.0)
        for pid, node in self._nodes(stats).items():
            cpu_s[node] += stats[pid].cpu_s
            private[node] += procfs.private_bytes(pid)
        self._most_s = {node: max(cpu_s[node], before) for node, before in self._most_s.items()}
        return self._most_s, private

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
