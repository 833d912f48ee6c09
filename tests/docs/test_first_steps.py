"""The first commands of the manual, one after another on one trial, and the example that reads its record."""

from pathlib import Path

import pytest

from tests.support.runs import ROOT, SCENE, SMALL, Workplace, ran

pytestmark = pytest.mark.slow

EXAMPLE = "examples/read_record/mean_latency.py"


def test_a_trial_is_run_read_judged_logged_and_held_against_one_process(workplace: Workplace) -> None:
    status, output = workplace.run("mode=combined", *SMALL, *SCENE)
    assert status == 0, output
    (folder,) = workplace.trials()

    status, output = _read(workplace, folder)
    assert status == 0, output
    assert "valid" in output
    assert "mean latency of 3 requests:" in output

    status, output = workplace.run("revalidate", str(folder))
    assert status == 0, output
    status, output = workplace.run("log", "outputs")
    assert status == 0, output
    status, output = workplace.run("efficiency", "--videos", "1")
    assert status == 0, output

    # The script says so if the metrics are not those of the requests.
    lines = (folder / "requests.jsonl").read_text().splitlines(keepends=True)
    (folder / "requests.jsonl").write_text("".join(lines[1:]))
    status, output = _read(workplace, folder)
    assert status == 1
    assert "it was changed" in output


def _read(workplace: Workplace, folder: Path) -> tuple[int, str]:
    return ran(workplace.folder, workplace.temp, str(ROOT / EXAMPLE), str(folder))


def test_an_option_file_of_the_users_own_makes_a_trial(workplace: Workplace) -> None:
    options = str(ROOT / "examples/own_options/vbench_conf")
    arguments = ["--config-dir", options, "runtime=eight", "video=portrait"]

    status, output = workplace.run(*arguments, *SMALL, *SCENE, "tracking=off")

    assert status == 0, output
    assert "runtime=eight" in output
