"""A sweep's design: which arms it composes, what its plan keeps of it, and what is refused."""

import json
from pathlib import Path

import pytest

from tests.support.runs import ROOT
from vbench.config.option_files import find_option_files
from vbench.errors import ConfigError
from vbench.run.compose import Composition, compose_one, compose_trials
from vbench.run.resume import check_same
from vbench.run.sweep import create, describe, plan, read

FOUR = [
    "mode=chunked,combined",
    "pipeline.window=2,4",
    "pipeline.prune=true,false",
    "load.concurrency=2,4",
]


def asked(*overrides: str) -> Composition:
    return compose_trials(overrides, multirun=True)


def refused(*overrides: str, multirun: bool = True) -> str:
    with pytest.raises(ConfigError) as error:
        compose_trials(overrides, multirun=multirun)
    return str(error.value)


def test_a_fraction_is_composed_planned_in_blocks_and_recorded(tmp_path: Path) -> None:
    composition = asked(*FOUR, "design=fractional", "blocks=3")
    assert [arm.config.load.concurrency for arm in composition.arms] == [2, 4, 4, 2, 4, 2, 2, 4]
    sweep = create(tmp_path, composition, ["--multirun", *FOUR])
    for block in range(3):
        names = [planned.arm for planned in sweep.trials if planned.block == block]
        assert len(set(names)) == len(names) == 8
    data = json.loads((tmp_path / "sweep.json").read_text())["design"]
    assert data == {
        "name": "fractional",
        "factors": [
            {"key": "mode", "values": ["chunked", "combined"]},
            {"key": "pipeline.window", "values": ["2", "4"]},
            {"key": "pipeline.prune", "values": ["True", "False"]},
            {"key": "load.concurrency", "values": ["2", "4"]},
        ],
        "generators": ["D = ABC"],
        "defining_relation": ["ABCD"],
        "resolution": 4,
        "aliases": [["AB", "CD"], ["AC", "BD"], ["AD", "BC"]],
    }
    assert read(tmp_path).design.factors == sweep.design.factors
    assert "design=fractional: 4 settings in 8 of 16 combinations, resolution IV" in describe(
        tmp_path, sweep, 24
    )
    check_same(tmp_path, read(tmp_path), composition, {})


def test_one_key_at_a_time_starts_from_the_first_values() -> None:
    composition = asked("mode=chunked,combined", "pipeline.window=1,2,4", "design=oneway", "load.requests=9")
    assert [(arm.config.mode, arm.config.pipeline.window) for arm in composition.arms] == [
        ("chunked", 1),
        ("combined", 1),
        ("chunked", 2),
        ("chunked", 4),
    ]
    assert {arm.config.load.requests for arm in composition.arms} == {9}
    assert len(plan(composition)) == 4


def test_a_sweep_planned_before_there_were_designs_is_read_as_a_full_one(tmp_path: Path) -> None:
    composition = asked("mode=chunked,combined")
    create(tmp_path, composition, [])
    path = tmp_path / "sweep.json"
    data = json.loads(path.read_text())
    assert data.pop("design")["name"] == "full"
    path.write_text(json.dumps(data))
    assert read(tmp_path).design.name == "full"
    check_same(tmp_path, read(tmp_path), composition, {})


def test_a_study_names_its_design_and_the_command_line_wins(tmp_path: Path) -> None:
    study = "\n".join(
        [
            "# @package _global_",
            "# Which settings matter?",
            "design: oneway",
            "blocks: 2",
            "hydra:",
            "  mode: MULTIRUN",
            "  sweeper:",
            "    params: {mode: 'chunked,combined', pipeline.window: '2,4'}",
        ]
    )
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "screen.yaml").write_text(study)
    files = find_option_files(str(tmp_path))
    found = compose_trials(["+experiments=screen"], multirun=False, files=files)
    assert (len(found.arms), found.configs[0].design) == (3, "oneway")
    found = compose_trials(["+experiments=screen", "design=full"], multirun=False, files=files)
    assert (len(found.arms), found.configs[0].design) == (4, "full")


def test_the_example_screens_four_settings_in_eight_arms() -> None:
    files = find_option_files(str(ROOT / "examples/own_options/vbench_conf"))
    study = compose_trials(["+experiments=which_settings"], multirun=False, files=files)
    assert {config.cluster.name for config in study.configs} == {"local"}
    assert len({planned.arm for planned in plan(study)}) == 8
    assert len(plan(study)) == 16


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["mode=chunked,combined", "design=fraction"], "design=fraction does not exist: did you mean"),
        (
            ["mode=chunked,combined", "pipeline.window=1,2,4", "design=fractional"],
            "pipeline.window=1,2,4 has 3 values, and design=fractional takes two of each key",
        ),
        (
            ["mode=chunked,combined", "design=full,oneway"],
            "a sweep has one design: give one, such as design=oneway",
        ),
        (["design=oneway"], "design=oneway is for keys with several values"),
        (["mode=chunked,combined", "mode=combined,chunked"], "mode is swept twice"),
    ],
)
def test_what_makes_no_design_is_refused(overrides: list[str], says: str) -> None:
    assert says in refused(*overrides)


def test_two_values_that_are_one_are_refused() -> None:
    keys = ["mode=chunked,combined", "pipeline.window=2,4", "load.warmup=1,2", "load.timeout_s=60,60.0"]
    with pytest.raises(ConfigError, match=r"two values of load\.timeout_s are '60': give each value once"):
        plan(asked(*keys, "design=fractional"))


def test_a_design_is_for_sweeps() -> None:
    assert refused("design=oneway", multirun=False) == "design=oneway is for a sweep: add --multirun."
    assert "did you mean 'oneway'" in refused("design=onewya", multirun=False)
    with pytest.raises(ConfigError, match="this command runs no sweep"):
        compose_one(["design=oneway"])


def test_a_design_in_an_option_file_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    (tmp_path / "load" / "mine.yaml").write_text(
        "# @package _global_\n# Mine.\ndesign: oneway\nload: {name: closed}\n"
    )
    with pytest.raises(ConfigError, match="design=oneway is in an option file, where a sweep does not read"):
        compose_trials(
            ["load=mine", "mode=chunked,combined"], multirun=True, files=find_option_files(str(tmp_path))
        )
