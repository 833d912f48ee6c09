"""The help page names everything there is, without importing what is heavy."""

import subprocess
import sys

from tests.support.records import config
from vbench.cli.help import comment, fields, text
from vbench.config.checkout import ROOT
from vbench.config.option_files import OptionFiles
from vbench.run.value_ranges import value_at


def test_every_group_option_and_field_has_its_line() -> None:
    page = text()
    for group, options in OptionFiles().groups().items():
        assert f"\n  {group}\n" in page
        for option in options:
            line = next(line for line in page.splitlines() if line.startswith(f"    {option} "))
            assert len(line.split(maxsplit=1)[1]) > 10
    for key, line in fields():
        assert line.endswith((".", ")")), key


def test_every_study_has_its_line_and_its_command() -> None:
    page = text()
    assert OptionFiles().studies()
    for name in OptionFiles().studies():
        assert any(line.startswith(f"  {name} ") and len(line) > 60 for line in page.splitlines())
        assert f"# vbench +experiments={name}\n" in (ROOT / "experiments" / f"{name}.yaml").read_text()


def test_the_fields_are_those_of_the_configuration() -> None:
    composed = config("workload=app", "app.import_path=main:app")
    for key, _ in fields():
        plain = key.replace("NAME", "head").replace("deployments.*.", "deployments.api.").removesuffix(".*")
        value_at(composed, plain)


def test_every_option_file_starts_with_what_it_is() -> None:
    from vbench.cli.help import CONF

    assert all(comment(file) for file in CONF.glob("*/*.yaml"))


def test_nothing_heavy_is_imported_for_it() -> None:
    code = (
        "import sys, vbench.cli.main as m; m.main(['--help']);"
        "print([n for n in ('ray','torch','mlflow','hydra','numpy','av') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
