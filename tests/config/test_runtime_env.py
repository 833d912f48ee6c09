"""The flags reach Ray exactly as asked, whatever the user's own shell has set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vbench.config.runtime_flags import (
    FLAGS,
    MOST_CONNECTIONS,
    RuntimeFlagError,
    apply,
    flag_variables,
    found_flags,
)

from vbench.ray_internals.object_manager import COUNT_VARIABLE, ENABLE_VARIABLE


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
)
def test_what_the_shell_had_set_never_leaks_through(shell: dict[str, str], connections: int | None) -> None:
    applied = apply(shell, connections)
    assert found_flags(applied) == flag_variables(connections)
    assert {name: applied[name] for name in applied if name not in FLAGS} == {
        name: value for name, value in shell.items() if name not in FLAGS
    }
