"""A variable of the runtime that a process lacks, or has with another value, breaks the rule."""

from dataclasses import replace

import pytest

from tests.support import records
from vbench.ray_internals.setting_readers import Role, readers
from vbench.record.load_report import ProcessSettings
from vbench.record.trial import Rule
from vbench.validity.settings_in_force import judge, roles

CHUNK = "RAY_object_manager_default_chunk_size"
FREEZE = "RAY_SERVE_FREEZE_GC_ON_STARTUP"
ENV = {CHUNK: "1048576", FREEZE: "0", "OMP_NUM_THREADS": "1"}
ROLES = [Role.RAYLET, Role.GCS, Role.CONTROLLER, Role.PROXY, Role.REPLICA, Role.DRIVER]


def process(role: Role, **changes: str) -> ProcessSettings:
    return ProcessSettings(role=role, node="head", pid=100 + ROLES.index(role), found={**ENV, **changes})


WHOLE = [process(role) for role in ROLES]


def verdict(found: list[ProcessSettings], *overrides: str) -> Rule:
    env = [f"runtime.env.{name}={value}" for name, value in ENV.items()]
    config = records.config(*env, *overrides)
    (rule,) = judge(config, records.load_report(settings_found=found))
    return rule


def test_a_runtime_without_variables_has_no_such_rule() -> None:
    assert list(judge(records.config(), records.load_report())) == []


def test_variables_that_all_processes_have_are_in_force() -> None:
    rule = verdict(WHOLE)
    assert rule.passed
    assert rule.observed == "3 variables in each of the 6 processes that may read one"


@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_was_not_found_proves_nothing(role: Role) -> None:
    rule = verdict([one for one in WHOLE if one.role != role])
    assert not rule.passed
    assert f"no {role} was found" in rule.observed


@pytest.mark.parametrize("role", ROLES)
def test_a_process_that_could_not_be_read_proves_nothing(role: Role) -> None:
    rule = verdict([replace(one, found=None) if one.role == role else one for one in WHOLE])
    assert not rule.passed
    assert f"the environment of the {role} on head" in rule.observed


def test_another_value_is_named() -> None:
    rule = verdict([*WHOLE, process(Role.REPLICA, **{FREEZE: "1"})])
    assert not rule.passed
    assert f"the replica on head (process 104) has {FREEZE}=1 instead of {FREEZE}=0" in rule.observed


def test_a_process_that_does_not_read_a_setting_may_lack_it() -> None:
    proxy = replace(process(Role.PROXY), found={name: ENV[name] for name in ENV if name != CHUNK})
    assert verdict([one for one in WHOLE if one.role != Role.PROXY] + [proxy]).passed


def test_the_longest_start_of_a_name_says_who_reads_it() -> None:
    assert readers(CHUNK) == (Role.RAYLET,)
    assert readers("RAY_SERVE_HAPROXY_MAXCONN") == (Role.CONTROLLER, Role.PROXY)
    assert readers("OMP_NUM_THREADS") == tuple(Role)
    assert Role.WORKER in roles("OMP_NUM_THREADS", is_transfer=True)
    assert Role.REPLICA not in roles("OMP_NUM_THREADS", is_transfer=True)
