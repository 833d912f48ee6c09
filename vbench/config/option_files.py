"""The option files of each group and the studies: vbench's own, and those in the user's own folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vbench.config.checkout import CONF, EXPERIMENTS
from vbench.config.path_option import home_path
from vbench.errors import ConfigError

USER_FOLDER = "vbench_conf"
"""Folder of the user's own option files, looked for in the working folder."""

STUDIES = EXPERIMENTS.name
"""The group that studies are chosen from."""


@dataclass(frozen=True, slots=True)
class OptionFiles:
    """All option files and studies that a command line can choose."""

    user_folder: Path | None = None
    """Absolute folder with the user's own, in one folder per group; None if there is none."""

    def groups(self) -> dict[str, dict[str, Path]]:
        """Group -> option -> file; ConfigError if vbench's own are gone."""
        if not CONF.is_dir():
            raise ConfigError(
                f"the option files of vbench are missing: there is no folder {CONF}. Put conf/ and"
                " experiments/ back beside vbench/, or install the package with 'pip install .'"
            )
        return {
            folder.name: self._files(folder, folder.name)
            for folder in sorted(CONF.iterdir())
            if folder.is_dir()
        }

    def studies(self) -> dict[str, Path]:
        """Name of a study -> file."""
        return self._files(EXPERIMENTS, STUDIES)

    def _files(self, own: Path, group: str) -> dict[str, Path]:
        files = {file.stem: file for file in sorted(own.glob("*.yaml"))}
        for file in self._users(group):
            if file.stem in files:
                raise ConfigError(
                    f"{file}: vbench has an option {group}={file.stem} already; give the file another name."
                )
            files[file.stem] = file
        return files

    def _users(self, group: str) -> Iterator[Path]:
        if self.user_folder is not None:
            yield from sorted((self.user_folder / group).glob("*.yaml"))


def find_option_files(config_dir: str | None = None) -> OptionFiles:
    """vbench's own files with those in ``config_dir``, or in ``vbench_conf/`` if None is given.

    ConfigError if ``config_dir`` is no folder.
    """
    if config_dir is None:
        folder = Path(USER_FOLDER)
        return OptionFiles(folder.resolve() if folder.is_dir() else None)
    try:
        folder = home_path(config_dir)
    except RuntimeError as error:
        raise ConfigError(f"--config-dir {config_dir}: there is no such user.") from error
    if not folder.is_dir():
        raise ConfigError(f"--config-dir {config_dir} is not a folder; give the folder of your option files.")
    return OptionFiles(folder.resolve())
