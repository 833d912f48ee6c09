"""A setting of Ray in the user's shell that no trial has is named, with how to measure it."""

import pytest

from tests.support import records
from vbench.run.dropped_settings import dropped

CHUNK = "RAY_object_manager_default_chunk_size"


def test_a_dropped_setting_is_named_with_how_to_make_it_an_arm() -> None:
    line = dropped({CHUNK: "5", "PATH": "/bin"}, [records.config()])
    assert line is not None
    assert line.startswith(f"{CHUNK} in your environment does not reach the trial")
    assert line.endswith(f'runtime.env.{CHUNK}="${CHUNK}"')


def test_several_are_named_in_one_line() -> None:
    line = dropped({CHUNK: "5", "RAY_event_stats": "0"}, [records.config()])
    assert line is not None
    assert "\n" not in line
    assert line.startswith(f"RAY_event_stats, {CHUNK} in your environment do not reach")


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "RAY_BACKEND_LOG_LEVEL",
        "RAY_USAGE_STATS_ENABLED",
        "RAY_ADDRESS",
        "RAY_CLIENT_MODE",
        "RAY_AUTH_TOKEN",
        "RAY_AUTH_TOKEN_OSS",
    ],
)
def test_what_every_trial_has_or_what_names_a_cluster_is_no_setting_that_is_dropped(name: str) -> None:
    assert dropped({name: "1"}, [records.config()]) is None


def test_a_setting_that_an_arm_has_is_not_dropped() -> None:
    assert dropped({CHUNK: "5"}, [records.config(f"runtime.env.{CHUNK}=1048576")]) is None


def test_an_attached_cluster_has_settings_of_its_own() -> None:
    assert dropped({CHUNK: "5"}, [records.config("cluster=attached", "cluster.address=http://a:1")]) is None
