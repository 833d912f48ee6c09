"""Arms that run in other environments are named by what differs between them: Ray, and torch."""

from dataclasses import asdict

from tests.support import records
from vbench.analysis.arms import PYTHON, arm_name
from vbench.analysis.provenance import _versions
from vbench.record.trial import Trial

OWN = {"ray": "2.60.0", "torch": "2.13.0+cpu"}


def trial(python: str | None, torch: str | None = None) -> Trial:
    config = records.config()
    config.runtime.python = python
    arm = {"arm": {"python": "3.12.1", "packages": {"ray": "2.60.0", "torch": torch}}} if python else {}
    environment = {"python": "3.11.7", "packages": OWN, **arm}
    return records.trial(config=asdict(config), environment=environment)


def test_arms_with_another_torch_have_names_of_their_own() -> None:
    names = [
        arm_name(trial(None), {PYTHON: "null"}),
        arm_name(trial("/venv/bin/python", "2.12.0"), {PYTHON: "/venv/bin/python"}),
        arm_name(trial("/same/bin/python", OWN["torch"]), {PYTHON: "/same/bin/python"}),
    ]
    assert names == ["Ray 2.60.0", "Ray 2.60.0, torch 2.12.0", "Ray 2.60.0"]


def test_the_versions_of_a_trial_are_those_of_the_environment_that_it_ran_in() -> None:
    own, other = _versions(trial(None)), _versions(trial("/venv/bin/python", "2.12.0"))
    assert (own["torch"], own["python"]) == (OWN["torch"], "3.11.7")
    assert (other["torch"], other["python"]) == ("2.12.0", "3.12.1")
