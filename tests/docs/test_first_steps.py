"""The first commands of the manual, one after another on one trial, with the examples that belong to them."""

from pathlib import Path

import pytest

from tests.support.runs import ROOT, SCENE, SMALL, Workplace, ran

pytestmark = pytest.mark.slow

READER = "examples/read_record/mean_latency.py"
OPTIONS = "examples/own_options/vbench_conf"


def test_a_trial_with_own_options_is_run_read_judged_logged_and_held_against_one_process(
    workplace: Workplace,
) -> None:
    own = ("--config-dir", str(ROOT / OPTIONS), "runtime=eight", "video=portrait")
    status, output = workplace.run(*own, *SMALL, *SCENE)
    assert status == 0, output
    assert "runtime=eight" in output
    (folder,) = workplace.trials()

    status, output = _read(workplace, folder)
    assert status == 0, output
    assert "valid" in output
    assert "mean latency of 3 requests:" in output

    for command in (["revalidate", str(folder)], ["log", "outputs"], ["efficiency", "--videos", "1"]):
        status, output = workplace.run(*command)
        assert status == 0, output

    # The script says so if the metrics are not those of the requests.
    lines = (folder / "requests.jsonl").read_text().splitlines(keepends=True)
    (folder / "requests.jsonl").write_text("".join(lines[1:]))
    status, output = _read(workplace, folder)
    assert status == 1
    assert "it was changed" in output


def _read(workplace: Workplace, folder: Path) -> tuple[int, str]:
    return ran(workplace.folder, workplace.temp, str(ROOT / READER), str(folder))
