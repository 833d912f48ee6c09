"""The plan of a sweep: what runs, and in which order."""

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import config
from vbench.errors import ConfigError
from vbench.record.files import TRIAL
from vbench.run.arm_names import arm_keys, arm_name, arm_settings, single_keys
from vbench.run.block_order import order
from vbench.run.compose import Composition, compose_trials
from vbench.run.progress import Display, duration, time_left
from vbench.run.sweep import create, describe, lock_sweep, plan, read
from vbench.run.trials import Session, run_planned

ARMS = ["mode=chunked,combined", "runtime=single,oss,anyscale", "blocks=3"]


@cache
def asked(*overrides: str) -> Composition:
    return compose_trials(overrides, multirun=True)


@given(arms=st.integers(1, 12), blocks=st.integers(1, 8), seed=st.integers())
def test_each_block_is_a_permutation_of_all_arms(arms: int, blocks: int, seed: int) -> None:
    rounds = order(arms, blocks, seed)
    assert len(rounds) == blocks
    assert all(sorted(turns) == list(range(arms)) for turns in rounds)


@given(arms=st.integers(1, 12), blocks=st.integers(1, 8), seed=st.integers())
def test_equal_seeds_give_equal_orders_however_many_blocks_follow(arms: int, blocks: int, seed: int) -> None:
    assert order(arms, blocks, seed) == order(arms, blocks + 3, seed)[:blocks]


def test_blocks_and_seeds_differ_in_their_orders() -> None:
    assert len({tuple(turns) for turns in order(6, 20, 1)}) > 15
    assert len({tuple(order(6, 1, seed)[0]) for seed in range(20)}) > 15


@given(arms=st.integers(2, 9), blocks=st.integers(1, 25), seed=st.integers())
def test_of_two_arms_either_comes_first_equally_often(arms: int, blocks: int, seed: int) -> None:
    rounds = order(arms, blocks, seed)
    for one in range(arms):
        for other in range(one):
            first = sum(turns.index(one) < turns.index(other) for turns in rounds)
            assert abs(2 * first - blocks) <= 1


@given(arms=st.integers(1, 9), rounds=st.integers(1, 3), seed=st.integers())
def test_every_arm_is_at_every_place_equally_often(arms: int, rounds: int, seed: int) -> None:
    """An arm that always ran first would be measured on a cooler machine."""
    square = arms if arms % 2 == 0 else 2 * arms
    found = order(arms, rounds * square, seed)
    for place in range(arms):
        counts = {sum(turns[place] == arm for turns in found) for arm in range(arms)}
        assert counts == {rounds * square // arms}


@given(arms=st.sampled_from([2, 4, 6, 8]), seed=st.integers())
def test_no_arm_is_at_a_place_twice_before_all_were(arms: int, seed: int) -> None:
    for blocks in range(1, arms + 1):
        for place in range(arms):
            there = [turns[place] for turns in order(arms, blocks, seed)]
            assert len(set(there)) == len(there)


def test_two_sweeps_of_one_command_have_other_orders_and_the_id_gives_each_back(tmp_path: Path) -> None:
    sweeps = [create(tmp_path / str(number), asked(*ARMS), []) for number in range(6)]
    orders = [tuple(each.arm for each in sweep.trials) for sweep in sweeps]
    assert len(set(orders)) >= 5
    for sweep in sweeps:
        assert plan(asked(*ARMS), sweep.sweep_id) == sweep.trials
    first = {order[0] for order in orders}
    assert len(first) > 1


def test_a_plan_runs_every_arm_once_a_block() -> None:
    trials = plan(asked(*ARMS))
    assert [each.folder for each in trials] == [str(number) for number in range(18)]
    for block in range(3):
        arms = [each.arm for each in trials if each.block == block]
        assert len(set(arms)) == len(arms) == 6
    assert [each.block for each in trials] == sorted(each.block for each in trials)
    one = trials[0]
    assert one.arm == " ".join(item for item in one.overrides if not item.startswith("block"))
    assert one.overrides[-2:] == ["blocks=3", "block=0"]


def test_an_arm_against_itself_needs_a_label() -> None:
    with pytest.raises(ConfigError, match=r"two arms of the sweep are 'mode=chunked': .*label=a,b"):
        plan(asked("mode=chunked,chunked"))
    assert {each.arm for each in plan(asked("label=a,b", "mode=chunked"))} == {"label=a", "label=b"}


def test_an_arm_is_named_by_what_it_sets() -> None:
    one = config("cluster=emulated", "cluster.flow_mbps=5000", "runtime=anyscale", "pipeline=published")
    keys = ("cluster.flow_mbps", "runtime", "pipeline", "mode", "cluster", "model.precision", "video.path")
    assert arm_name(arm_settings(one, keys)) == (
        "cluster.flow_mbps=5000 runtime=anyscale pipeline=published mode=chunked cluster=emulated"
        " model.precision=fp32 video.path=null"
    )


def test_the_plan_is_written_before_anything_runs_and_read_again(tmp_path: Path) -> None:
    sweep = create(tmp_path / "s", asked(*ARMS), ["--multirun", *ARMS])
    data = json.loads((tmp_path / "s" / "sweep.json").read_text())
    assert set(data) == {
        "sweep_id",
        "started",
        "swept",
        "arguments",
        "cwd",
        "blocks",
        "trials",
        "design",
        "looks",
    }
    assert read(tmp_path / "s") == sweep
    assert sweep.swept == ["mode", "runtime"]
    words = list(describe(tmp_path, sweep, left=18))
    assert words[0].startswith("18 trials: 6 arms, each once in each of 3 blocks")
    assert len(words) == 1 + 6 + 3
    assert sorted(words[-1].split(": ")[1].split()) == list("123456")


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "s", asked(*ARMS), [])
    with pytest.raises(ConfigError, match="already holds a sweep: resume it with vbench resume="):
        create(tmp_path / "s", asked(*ARMS), [])
    (tmp_path / "t" / "0").mkdir(parents=True)
    (tmp_path / "t" / "0" / TRIAL).write_text("{}")
    with pytest.raises(ConfigError, match="already holds trials"):
        create(tmp_path / "t", asked(*ARMS), [])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written to"):
        create(tmp_path / "file" / "s", asked(*ARMS), [])


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "it is not the folder of a sweep"), ("{", "cannot be read"), ("{}", "another version")],
)
def test_a_folder_that_holds_no_sweep_cannot_go_on(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "sweep.json").write_text(content)
    with pytest.raises(ConfigError, match=says):
        read(tmp_path)


def test_only_one_process_at_a_time_runs_a_sweep(tmp_path: Path) -> None:
    create(tmp_path, asked(*ARMS), [])
    with (
        lock_sweep(tmp_path),
        pytest.raises(ConfigError, match="another process is running the sweep"),
        lock_sweep(tmp_path),
    ):
        pass
    with lock_sweep(tmp_path):
        pass


def test_the_time_left_goes_by_the_trials_so_far() -> None:
    assert time_left([], 5) == ""
    assert time_left([50.0, 70.0], 10) == "  [about 10 min left, 60 s per trial]"
    assert [duration(s) for s in (0.4, 45, 300, 7200, 11100)] == [
        "0 s",
        "45 s",
        "5 min",
        "2 h 00 min",
        "3 h 05 min",
    ]


def test_whatever_goes_wrong_with_a_trial_does_not_stop_the_others(tmp_path: Path) -> None:
    session = Session(display=Display(), arm_keys=("mode",))
    composition = asked(*ARMS)
    (tmp_path / "earlier").write_text("in the way of what the trials left")
    planned = plan(composition)[:2]
    for each in planned:
        (tmp_path / each.folder).mkdir()
        run_planned(session, composition, each, tmp_path)
    assert "FileExistsError" in (tmp_path / "0" / "crash.log").read_text()
    assert [str(failure).split(":")[0] for failure in session.failures] == ["trial 0", "trial 1"]
    assert session.trials == {}


@pytest.mark.parametrize("values", ["shuffle(chunked,combined)", "shuffle(chunked, combined)"])
def test_a_shuffled_sweep_is_refused_since_resuming_would_draw_it_again(values: str) -> None:
    with pytest.raises(ConfigError, match="draws the order of its trials itself"):
        compose_trials([f"mode={values}"], multirun=True)
    with pytest.raises(ConfigError, match="draws the order of its trials itself"):
        compose_trials(["load.concurrency=shuffle(range(1,3))"], multirun=True)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((), "mode=chunked runtime=oss"),
        (("workload=transfer", "load=transfer", "cluster=emulated"), "runtime=oss"),
        (("workload=app", "app.import_path=main:app"), "runtime=oss"),
    ],
)
def test_a_single_trial_is_named_by_its_mode_only_if_its_workload_has_one(
    given: tuple[str, ...], name: str
) -> None:
    single = config(*given)
    assert arm_name(arm_settings(single, arm_keys(single_keys(single), single))) == name
