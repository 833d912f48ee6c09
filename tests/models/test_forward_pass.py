"""Which graph works on how many frames."""

from hypothesis import given
from hypothesis import strategies as st

from vbench.models.forward_pass import graph_frames


@given(frames=st.integers(1, 200), batch_size=st.integers(1, 200))
def test_a_graph_holds_its_frames_and_wastes_less_than_half(frames: int, batch_size: int) -> None:
    frames = min(frames, batch_size)
    held = graph_frames(frames, batch_size)

    assert frames <= held <= batch_size
    assert held < 2 * frames


def test_there_are_few_sizes() -> None:
    assert {graph_frames(n, 24) for n in range(1, 25)} == {1, 2, 4, 8, 16, 24}
