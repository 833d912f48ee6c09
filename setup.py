"""Puts the option files and the studies into the wheel; all else is in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PATTERNS = ("conf/**/*.yaml", "experiments/*.yaml")


class BuildWithOptionFiles(build_py):
    """Copies ``conf/`` and ``experiments/``, which stay at the top of the repository, into the package.

    An editable installation uses them where they are.
    """

    def run(self) -> None:
        """Build the package, and add the files to it."""
        super().run()
        if self.editable_mode:
            return
        for source in self._option_files():
            target = Path(self.build_lib) / "vbench" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(source), str(target))

    def get_source_files(self) -> list[str]:
        """What the source distribution must hold."""
        return [*super().get_source_files(), *map(str, self._option_files())]

    def _option_files(self) -> list[Path]:
        return sorted(path for pattern in PATTERNS for path in Path().glob(pattern))


setup(cmdclass={"build_py": BuildWithOptionFiles})
