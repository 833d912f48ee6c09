"""With blocks=auto a sweep goes on until every row is decided, and blocks that are added count as a look."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import sweeps
from tests.support.measured_sweeps import all_measured, asked
from tests.support.runs import SCENE, SMALL, Workplace
from vbench.analysis import PAGE, comparison_file
from vbench.cli.compare import main
from vbench.errors import ConfigError
from vbench.record.looks import Looks
from vbench.run import auto_blocks
from vbench.run.progress import Display
from vbench.run.session import run
from vbench.run.sweep import Sweep, create, describe, extend, read

ARMS = ("cluster=emulated", "pipeline=published", "mode=chunked", "runtime=oss,anyscale", "tracking=off")
AUTO = (*ARMS, "blocks=auto", "analysis.max_blocks=8")

NOISE = (0.3, -0.3, 0.2, -0.1, 0.15, -0.2, 0.25, -0.3)


def measure(folder: Path, sweep: Sweep, change: Callable[[int], float]) -> None:
    """Leave the trials of a sweep that are not there: anyscale takes ``change(block)`` times as long."""
    for planned in sweep.trials:
        if not (folder / planned.folder).exists():
            runtime = planned.arm.removeprefix("runtime=")
            latency_s = 5 * change(planned.block) if runtime == "anyscale" else 5
            sweeps.write_trial(folder / planned.folder, {"runtime": runtime}, planned.block, latency_s)


def test_undecided_rows_get_blocks_up_to_the_next_look_until_the_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, composition = tmp_path / "s", asked(*AUTO)
    sweep = create(folder, composition, [])
    assert (sweep.blocks, len(sweep.trials), list(sweep.looks.planned)) == (3, 6, [3, 5, 8])
    for blocks, following in ((3, 5), (5, 8)):
        measure(folder, sweep, lambda block: 1 + NOISE[block])
        longer = auto_blocks.next_blocks(Display(), folder, sweep, composition)
        assert longer is not None
        assert longer.blocks == following
        assert len(longer.trials) == 2 * following
        assert longer.trials[: len(sweep.trials)] == sweep.trials
        assert read(folder).trials == longer.trials
        said = capsys.readouterr().out
        assert (
            f"after {blocks} blocks: 1 of 1 row undecided; running blocks {blocks + 1} to {following}" in said
        )
        sweep = longer
    measure(folder, sweep, lambda block: 1 + NOISE[block])
    assert auto_blocks.next_blocks(Display(), folder, sweep, composition) is None


@pytest.mark.parametrize(("change", "verdict"), [(0.8, "faster"), (1.3, "slower"), (1.0, "equivalent")])
def test_a_sweep_stops_at_the_look_that_decides_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: float, verdict: str
) -> None:
    folder, composition = tmp_path / "s", asked(*AUTO)
    sweep = create(folder, composition, [])
    measure(folder, sweep, lambda block: change * (1 + 0.001 * (-1) ** block))
    assert auto_blocks.next_blocks(Display(), folder, sweep, composition) is None
    assert "look 1, after 3 blocks: all decided (1 row), so the sweep stops" in capsys.readouterr().out

    assert main([str(folder)]) == 0

    printed = " ".join(capsys.readouterr().out.split())
    looks = "This is look 1, after 3 blocks; blocks=auto planned looks after 3, 5 and 8 blocks."
    assert looks in printed
    assert "±: 95%, [ ]: 99.5% intervals over n blocks." in printed
    page = (folder / PAGE).read_text()
    assert looks in page
    assert "Improvement [99.5% interval]" in page
    data = json.loads((folder / comparison_file.DATA).read_text())
    (row,) = data["tables"][0]["rows"]
    assert row["decision"]["verdict"] == verdict
    assert row["decision"]["difference_holm_p"] == pytest.approx(
        min(1, row["decision"]["difference_p"] * 98 / 9)
    )
    assert row["improvement"]["confidence_percent"] == pytest.approx(100 - 5 * 9 / 98)
    assert (data["look"]["number"], data["look"]["share"]) == (1, pytest.approx(9 / 98))


def test_a_sweep_none_of_whose_blocks_counts_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, composition = tmp_path / "s", asked(*AUTO)
    sweep = create(folder, composition, [])
    assert auto_blocks.next_blocks(Display(), folder, sweep, composition) is None
    assert "look 1, after 3 blocks: no row can be judged, so the sweep stops" in capsys.readouterr().out


def test_the_plan_says_when_it_looks(tmp_path: Path) -> None:
    sweep = create(tmp_path / "s", asked(*AUTO), [])
    lines = list(describe(tmp_path / "s", sweep, 6))
    assert "blocks=auto: it looks at its results after 3, 5 and 8 blocks, and stops as soon as" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("mode=chunked,combined",), "blocks=auto decides between values of runtime, runtime.connections"),
        (
            ("runtime=oss,anyscale", "design=oneway"),
            "blocks=auto decides between two arms, and design=oneway",
        ),
    ],
)
def test_a_sweep_that_has_nothing_to_decide_is_refused(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        create(tmp_path / "s", asked(*arguments, "blocks=auto", "analysis.max_blocks=8"), [])
    assert not (tmp_path / "s").exists()


def test_added_blocks_are_a_look_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, composition = tmp_path / "s", asked(*ARMS, "blocks=3")
    sweep = create(folder, composition, [])
    measure(folder, sweep, lambda block: 1 + NOISE[block])
    longer = extend(folder, sweep, composition, 5, is_added=True)
    assert longer.looks == Looks(planned=(3,), added=(5,), ended=3)
    measure(folder, longer, lambda block: 0.8 + 0.01 * (-1) ** block)
    assert auto_blocks.next_blocks(Display(), folder, longer, composition) is None
    assert main([str(folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Look 2 was not planned: blocks were added to the finished sweep." in printed
    assert "[ ]: 97.5% intervals" in printed


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("blocks=1", "blocks is the total, and the sweep already has 1: give 2 to 1,000, such as blocks=4."),
        ("blocks=1001", "give 2 to 1,000"),
        ("blocks=auto", "and nothing else, or, to add blocks to a finished sweep, their number in all"),
        ("load.requests=2", "and nothing else"),
    ],
)
def test_blocks_that_cannot_be_added_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    all_measured(tmp_path / "s", "runtime=oss,anyscale", "tracking=off")
    before = (tmp_path / "s" / "sweep.json").read_text()
    with pytest.raises(ConfigError) as refused:
        run(["resume=s", given])
    assert says in str(refused.value)
    assert (tmp_path / "s" / "sweep.json").read_text() == before


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_sweep_stops_when_it_is_decided_and_goes_on_when_blocks_are_added(workplace: Workplace) -> None:
    arms = ["label=a,b", "blocks=auto", "analysis.max_blocks=4", "analysis.equivalence_percent=99"]
    place = ["tracking=off", "hydra.sweep.dir=swept"]
    status, output = workplace.run("--multirun", *arms, *SCENE, *SMALL, *place)
    assert status == 0, output
    assert "look 1, after 3 blocks: all decided (1 row), so the sweep stops" in output
    assert len(read(workplace.folder / "swept").trials) == 6

    status, output = workplace.run("resume=swept", "blocks=4")

    assert status == 0, output
    assert "of which 6 ran before" in output
    assert "Look 2 was not planned: blocks were added to the finished sweep" in " ".join(output.split())
    sweep = read(workplace.folder / "swept")
    assert (sweep.blocks, len(sweep.trials), list(sweep.looks.added)) == (4, 8, [4])
