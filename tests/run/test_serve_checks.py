"""Settings with which the built-in graph would not work, or that its load would not use, are refused."""

import pytest

from vbench.errors import ConfigError
from vbench.run.compose import compose_configs

MESSAGE = "runtime.env.RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH=2147483647"


def compose(*overrides: str) -> None:
    compose_configs(list(overrides), multirun=False)


@pytest.mark.parametrize("runtime", ["throughput_optimized", "grpc_handles", "one_event_loop", "unfrozen_gc"])
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


@pytest.mark.parametrize("name", ["RAY_SERVE_ENABLE_DIRECT_INGRESS", "RAY_SERVE_ENABLE_HA_PROXY"])
def test_a_setting_that_the_load_would_not_use_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ConfigError, match=f"runtime.env.{name}=1 cannot be measured with this service: "):
        compose(f"runtime.env.{name}=1")


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
