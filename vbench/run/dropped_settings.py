"""Says which settings of Ray in the user's environment no trial has, since a trial has only its own."""

from collections.abc import Mapping, Sequence

from vbench.clusters.attached.validate import ATTACHED
from vbench.clusters.ray_node import KEPT
from vbench.config.runtime_checks import OWN
from vbench.config.runtime_env import variables_of
from vbench.config.schema import Config
from vbench.ray_internals.node import SET_BY_RAY
from vbench.ray_internals.settings import PREFIX

OF_A_RUNTIME = "RAY_AUTH_TOKEN_"
"""Start of the variable with the token of one runtime's cluster, which is read."""


def dropped(environ: Mapping[str, str], configs: Sequence[Config]) -> str | None:
    """One line that names the dropped settings and how to make one an arm; None if there are none.

    On an attached cluster the settings are those of its nodes, with which the user's own have nothing to do.
    """
    if all(config.cluster.name == ATTACHED for config in configs):
        return None
    given = {name for config in configs for name in variables_of(config.runtime)}
    names = sorted(
        name
        for name in environ
        if name.startswith(PREFIX)
        and not name.startswith(OF_A_RUNTIME)
        and name not in OWN | KEPT | SET_BY_RAY
        and name not in given
    )
    if not names:
        return None
    verb = "does" if len(names) == 1 else "do"
    return (
        f"{', '.join(names)} in your environment {verb} not reach the trial, which has only the settings of"
        f' its configuration; to measure with it: runtime.env.{names[0]}="${names[0]}"'
    )
