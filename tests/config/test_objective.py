"""An objective is read as it is written, or refused."""

import pytest

from vbench.config.objective import LatencyLimit, Objective, objective
from vbench.errors import ConfigError


def test_no_objective() -> None:
    assert objective(None) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("p95<2s", Objective(latency=LatencyLimit(percent=95, limit_s=2))),
        ("p99.9<250ms", Objective(latency=LatencyLimit(percent=99.9, limit_s=0.25))),
        ("errors<0.1%", Objective(most_errors_percent=0.1)),
        (
            "errors<1%, p50 < 1.5 s",
            Objective(latency=LatencyLimit(percent=50, limit_s=1.5), most_errors_percent=1),
        ),
    ],
)
def test_it_is_read(text: str, meant: Objective) -> None:
    assert objective(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no limit"),
        ("p95<2", "'p95<2' is no limit"),
        ("p95<=2s", "'p95<=2s' is no limit"),
        ("p100<2s", "'p100<2s' is no limit"),
        ("p0<2s", "quantiles are from p1"),
        ("p95<0s", "limits above 0 s"),
        ("errors<0%", "above 0%"),
        ("errors<101%", "at most 100%"),
        ("p95<2s,p99<3s", "two limits of the latency"),
        ("p95<2s,", "'' is no limit"),
        ("mean<2s", "'mean<2s' is no limit"),
    ],
)
def test_it_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        objective(text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"load.objective={text}")
