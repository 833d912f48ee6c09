"""A runtime's variables reach Ray exactly as asked, whatever the user's own shell has set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vbench.config.runtime_env import (
    FLAGS,
    MOST_CONNECTIONS,
    RuntimeFlagError,
    apply,
    expected_connections,
    flag_variables,
    found_variables,
    variables,
)
from vbench.ray_internals.object_manager import COUNT_VARIABLE, DEFAULT_CONNECTIONS, ENABLE_VARIABLE


def test_each_runtime_sets_what_the_design_says() -> None:
    assert flag_variables(None) == {}
    assert flag_variables(1) == {ENABLE_VARIABLE: "0"}
    assert flag_variables(15) == {ENABLE_VARIABLE: "1", COUNT_VARIABLE: "15"}


@given(st.integers().filter(lambda n: not 1 <= n <= MOST_CONNECTIONS))
def test_a_number_that_would_crash_ray_is_refused(connections: int) -> None:
    with pytest.raises(RuntimeFlagError, match=f"runtime.connections={connections} "):
        flag_variables(connections)


@given(
    st.dictionaries(st.sampled_from([*FLAGS, "PATH", "HOME"]), st.text("0123456789yes", min_size=1)),
    st.none() | st.integers(1, MOST_CONNECTIONS),
    st.dictionaries(st.sampled_from(["RAY_a", "PATH"]), st.text("01")),
)
def test_what_the_shell_had_set_never_leaks_through(
    shell: dict[str, str], connections: int | None, env: dict[str, str]
) -> None:
    asked = variables(connections, env)
    applied = apply(shell, asked)
    assert found_variables(applied, asked) == asked
    assert {name: applied[name] for name in applied if name not in (*FLAGS, *env)} == {
        name: value for name, value in shell.items() if name not in (*FLAGS, *env)
    }


@pytest.mark.parametrize(
    ("asked", "connections"),
    [
        (flag_variables(None), DEFAULT_CONNECTIONS),
        (flag_variables(1), 1),
        (flag_variables(15), 15),
        ({COUNT_VARIABLE: "4"}, 4),
        ({ENABLE_VARIABLE: "0", COUNT_VARIABLE: "4"}, 1),
        ({ENABLE_VARIABLE: "True", COUNT_VARIABLE: "4"}, 4),
        ({ENABLE_VARIABLE: "yes"}, 1),
    ],
)
def test_variables_say_how_many_connections_are_expected(asked: dict[str, str], connections: int) -> None:
    assert expected_connections(asked) == connections
