"""``vbench --shell-completion``: completes commands, groups, options and keys in a shell, through Hydra."""

import contextlib
import io
import os
from collections.abc import Iterable, Sequence

from vbench.cli.cluster import command as cluster
from vbench.config.option_files import OptionFiles
from vbench.errors import ConfigError, VbenchError

SHELLS = ("bash", "fish", "zsh")
RUN = "run"
CLUSTER = "cluster"


def complete(arguments: Sequence[str], files: OptionFiles, commands: Iterable[str]) -> None:
    """Print the script that installs completion in a shell, or what completes the line in ``COMP_LINE``.

    Args:
        arguments: ``install=SHELL``, ``uninstall=SHELL``, or ``query=SHELL``, which the script calls.
        files: the option files that can be chosen.
        commands: names of the commands beside ``run``.

    Raises:
        ConfigError: the arguments are none of these.
    """
    from vbench.run.composer import register_studies
    from vbench.run.hydra_app import call_hydra

    action, _, shell = " ".join(arguments).partition("=")
    if action not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise ConfigError(
            f"--shell-completion needs install=SHELL or uninstall=SHELL, where SHELL is {', '.join(SHELLS)}."
            ' For bash: eval "$(vbench --shell-completion install=bash)"'
        )
    if action != "query":
        call_hydra(["--shell-completion"], arguments, files)
        return
    program, _, rest = os.environ.get("COMP_LINE", "").partition(" ")
    first, space, others = rest.lstrip().partition(" ")
    line = others if space and first == RUN else rest
    if space and first == CLUSTER:
        command, space, others = others.lstrip().partition(" ")
        if not space:
            print(" ".join(name for name in cluster.COMMANDS if name.startswith(command)))
        if not space or command != "up":
            return
        line = f"cluster=emulated {others}"
    elif space and first in commands:
        return
    elif not space and (names := [name for name in (*commands, RUN) if name.startswith(first)]):
        print(" ".join(names))
    os.environ["COMP_LINE"] = f"{program} {line}"
    register_studies(files)
    # A line that is not complete may be wrong. A message about it would land in the line being typed.
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(VbenchError, SystemExit):
        call_hydra(["--shell-completion"], arguments, files)
