"""Shell completion of groups, options and keys, as Hydra provides it: ``vbench -sc install=bash``."""

from collections.abc import Sequence

from vbench.config.option_files import OptionFiles
from vbench.errors import ConfigError
from vbench.run.composer import register_studies
from vbench.run.hydra_app import call_hydra

ACTIONS = ("install", "uninstall", "query")
SHELLS = ("bash", "fish", "zsh")


def complete(arguments: Sequence[str], files: OptionFiles) -> None:
    """Print the script that installs completion in a shell, or the completions of ``COMP_LINE``."""
    if len(arguments) != 1 or arguments[0] not in [f"{act}={shell}" for act in ACTIONS for shell in SHELLS]:
        raise ConfigError(
            f"--shell-completion {' '.join(arguments)}: give install=SHELL or uninstall=SHELL, where SHELL is"
            f' {", ".join(SHELLS)}: eval "$(vbench -sc install=bash)".'
        )
    register_studies(files, *files.studies())
    call_hydra(["--shell-completion"], arguments, files)
