"""A variable that Ray would ignore or misread is refused in one sentence with a remedy."""

import re

import pytest

from vbench.config.runtime_checks import runtime_problems
from vbench.config.schema import RuntimeConfig

CHUNK = "RAY_object_manager_default_chunk_size"
FREEZE = "RAY_SERVE_FREEZE_GC_ON_STARTUP"
COUNT = "RAY_object_manager_client_connection_num"


def problems(connections: int | None = None, **env: str) -> list[str]:
    return list(runtime_problems(RuntimeConfig(name="mine", connections=connections, env=env)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (CHUNK, "1048576"),
        ("RAY_event_stats", "True"),
        (FREEZE, "0"),
        (COUNT, "4"),
        ("RAY_SERVE_SESSION_ID_HEADER_KEY", "anything"),
        ("MALLOC_ARENA_MAX", "2"),
        ("RAY_object_spilling_threshold", "0.75"),
    ],
)
def test_what_ray_reads_is_accepted(name: str, value: str) -> None:
    assert problems(**{name: value}) == []


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (f"{CHUNK}s", "1", f"did you mean runtime.env.{CHUNK}=1"),
        (CHUNK.lower(), "1", f"did you mean runtime.env.{CHUNK}=1"),
        ("RAY_no_such_thing", "1", "this Ray has no such setting; the nearest are "),
        (CHUNK, "5MB", "Ray takes a number here: give a number without a unit"),
        (CHUNK, "5.5", "Ray takes a whole number here"),
        (CHUNK, "1e400", "Ray takes a number here"),
        ("RAY_event_stats", "yes", "Ray takes true or false here: give 1 or 0"),
        (FREEZE, "true", "Ray takes 1 or 0 here: give 1 or 0"),
        ("RAY_SERVE_MAX_CACHED_HANDLES", "0", "a whole number above 0 here: give 1 or more"),
        ("RAY_SERVE_MAX_CACHED_HANDLES", "1.5", "a whole number above 0 here"),
        (COUNT, "0", "between 1 and 64"),
        (COUNT, "1500", "between 1 and 64"),
        ("RAY_AUTH_TOKEN", "secret", "vbench sets this variable for each cluster itself; leave it out"),
        ("PYTHONOPTIMIZE", "2", "Ray does not run with this variable; leave it out"),
        ("A-B", "1", "the name of a variable has only letters, digits and _"),
    ],
)
def test_what_ray_would_ignore_or_misread_is_refused(name: str, value: str, says: str) -> None:
    (problem,) = problems(**{name: value})
    assert problem.startswith(f"runtime.env.{name}={value}: ")
    assert says in problem
    assert problem.endswith(".")


def test_a_remedy_is_accepted_when_pasted() -> None:
    (problem,) = problems(**{f"{CHUNK}s": "1048576"})
    remedy = re.search(r"runtime\.env\.(\w+)=(\w+)\.$", problem)
    assert remedy is not None
    assert problems(**{remedy[1]: remedy[2]}) == []


def test_two_ways_to_set_the_connections_exclude_each_other() -> None:
    (problem,) = problems(15, **{COUNT: "4"})
    assert "runtime.connections=15 both set the connections" in problem
    assert problems(None, **{COUNT: "4"}) == []


def test_a_number_of_connections_is_checked_without_variables() -> None:
    (problem,) = problems(0)
    assert problem.startswith("runtime.connections=0 must be between 1 and 64")
