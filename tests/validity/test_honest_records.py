"""No rule of who answered, what ran and what must balance alarms on a record of an honest trial."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validity import honest
from vbench.record.trial import Rule
from vbench.validity.trial_checks import judge


def judged(record: honest.Record) -> list[Rule]:
    return list(judge(record.config, record.load_report, record.measured, record.clip))


def broken(record: honest.Record) -> list[str]:
    return [rule.line for rule in judged(record) if not rule.passed]


@settings(max_examples=60)
@given(
    requests=st.integers(1, 12),
    concurrency=st.integers(1, 5),
    mode=st.sampled_from(["chunked", "combined"]),
    handoff=st.sampled_from(["direct", "relay"]),
    chunks=st.integers(1, 6),
    warm_up=st.integers(0, 5),
    shaped=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_an_honest_record_breaks_no_rule(
    requests: int,
    concurrency: int,
    mode: str,
    handoff: str,
    chunks: int,
    warm_up: int,
    shaped: bool,
    seed: int,
) -> None:
    record = honest.record(
        requests=requests,
        concurrency=concurrency,
        mode=mode,
        handoff=handoff,
        chunks=chunks,
        warm_up=warm_up,
        shaped=shaped,
        seed=seed,
    )
    assert broken(record) == []


def test_every_rule_names_itself_once_and_has_a_remedy() -> None:
    record = honest.record()
    rules = judged(record)
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.remedy and rule.observed for rule in rules)
