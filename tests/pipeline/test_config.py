"""What the pipeline's arguments accept, refuse and derive."""

import subprocess
import sys
from dataclasses import asdict
from fractions import Fraction

import pytest
from pydantic import ValidationError

from vbench.models.protocol import ModelError
from vbench.models.settings import ModelSettings
from vbench.pipeline import build
from vbench.pipeline.application import NAMES, deployment_options
from vbench.pipeline.config import DeploymentArgs, PipelineArgs
from vbench.video.exact_number import exact_number
from vbench.video.types import VideoLimits


def refusal(**args: object) -> str:
    with pytest.raises(ValidationError) as caught:
        PipelineArgs.model_validate(args)
    (error,) = caught.value.errors()
    return error["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (1, Fraction(1)),
        (0.1, Fraction(1, 10)),
        (29.97, Fraction(2997, 100)),
        ("30000/1001", Fraction(30000, 1001)),
        ("2.50", Fraction(5, 2)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_numbers_are_the_fractions_that_were_written(written: object, value: Fraction) -> None:
    assert exact_number(written) == value


@pytest.mark.parametrize(
    "written",
    [0, -1, "0", "1/0", "1e9", "1e999999999", "fast", "", True, None, float("nan"), float("inf"), []],
)
def test_what_is_no_number_above_0_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a number above 0; write 1"):
        exact_number(written)


def test_rates_out_of_bounds_are_refused_with_the_bounds() -> None:
    assert refusal(fps=1000) == "1000 is outside 1/3600 to 240 frames/s"
    assert refusal(chunk_s="0.01") == "0.01 is outside 0.1 to 86400 seconds"


def test_strings_from_the_command_line_do() -> None:
    args = PipelineArgs.model_validate(
        {"mode": "combined", "model": "shapes", "fps": "30000/1001", "overlap": "false", "window": "3"}
    )

    assert (args.mode, args.model.name, args.overlap, args.window) == ("combined", "shapes", False, 3)
    assert args.fps_fraction == Fraction(30000, 1001)


def test_an_unknown_model_is_refused_before_anything_starts() -> None:
    with pytest.raises(ModelError, match="there is no model 'shape'"):
        build(PipelineArgs.model_validate({"model": "shape"}))


def test_arguments_survive_json() -> None:
    args = PipelineArgs.model_validate({"fps": "1/3", "decoder": {"replicas": 3, "resources": {"d": 0.5}}})

    assert PipelineArgs.model_validate_json(args.model_dump_json()) == args


@pytest.mark.parametrize("where", [{}, {"model": {}}, {"api": {}}, {"decoder": {}}, {"limits": {}}])
def test_unknown_keys_are_refused_at_every_level(where: dict[str, object]) -> None:
    body: dict[str, object] = {name: {"typo": 1} for name in where} or {"typo": 1}

    assert refusal(**body) == "Extra inputs are not permitted"


def test_defaults_fit_one_plain_machine() -> None:
    options = deployment_options(PipelineArgs())

    assert tuple(options) == NAMES
    assert [options[name]["num_replicas"] for name in NAMES] == [1, 1, 1, 1]
    assert [options[name]["ray_actor_options"]["num_cpus"] for name in NAMES] == [0, 0, 1, 1]
    assert all(options[name]["ray_actor_options"]["num_gpus"] == 0 for name in NAMES)


def test_options_carry_the_placement_that_was_asked_for() -> None:
    args = PipelineArgs.model_validate(
        {
            "decoder": {
                "replicas": 2,
                "cpus": 4,
                "resources": {"decode_only": 0.01},
                "max_replicas_per_node": 1,
            },
            "inference": {"gpus": 1},
        }
    )

    options = deployment_options(args)

    assert options["VideoDecoder"]["ray_actor_options"] == {
        "num_cpus": 4,
        "num_gpus": 0,
        "resources": {"decode_only": 0.01},
    }
    assert options["VideoDecoder"]["max_replicas_per_node"] == 1
    assert options["ModelInference"]["ray_actor_options"]["num_gpus"] == 1
    assert "max_replicas_per_node" not in options["ModelInference"]


def test_workers_take_all_that_the_services_can_send_so_that_nothing_waits_in_a_router() -> None:
    args = PipelineArgs.model_validate(
        {"window": 3, "service": {"replicas": 2, "max_ongoing_requests": 5}, "decoder": {"replicas": 4}}
    )

    assert args.requests_at_once == 5
    assert args.max_ongoing("VideoDecoder") == args.max_ongoing("ModelInference") == 3 * 2 * 5


def test_fewer_places_than_chunks_in_flight_are_refused_with_the_arithmetic() -> None:
    sentence = refusal(
        window=4, service={"max_ongoing_requests": 4}, decoder={"replicas": 2, "max_ongoing_requests": 7}
    )

    assert "decoder.max_ongoing_requests is 7, with 2 replicas 14 places" in sentence
    assert "16 chunks at a time (window 4 x 4 requests x 1 services)" in sentence
    assert "raise it to 8 or leave it out" in sentence


def test_a_cuda_model_needs_a_gpu() -> None:
    assert "ask for the GPU" in refusal(model={"device": "cuda"})
    assert PipelineArgs.model_validate({"model": {"device": "cuda:0"}, "inference": {"gpus": 1}})


@pytest.mark.parametrize(
    ("cpus", "decode_threads", "threads", "at_once"),
    [(0, None, 1, 1), (0.5, None, 1, 1), (3.2, None, 4, 1), (4, 1, 1, 4), (4, 3, 3, 1)],
)
def test_decoders_use_the_cpus_they_reserve(
    cpus: float, decode_threads: int | None, threads: int, at_once: int
) -> None:
    args = PipelineArgs.model_validate({"decoder": {"cpus": cpus}, "decode_threads": decode_threads})

    assert (args.ffmpeg_threads, args.decodes_at_once) == (threads, at_once)


def test_more_decode_threads_than_cpus_are_refused() -> None:
    assert "raise decoder.cpus or lower decode_threads" in refusal(decode_threads=2)


def test_model_and_limits_mirror_the_parts_they_are_for() -> None:
    args = PipelineArgs()

    assert ModelSettings(**asdict(args.model)) == ModelSettings()
    assert args.limits.limits() == VideoLimits()


@pytest.mark.parametrize(
    ("resources", "fits"),
    [({"CPU": 2.0, "d": 1.0}, True), ({"CPU": 1.0, "d": 1.0}, False), ({"CPU": 2.0}, False), ({}, False)],
)
def test_a_deployment_fits_a_node_with_all_it_asks_for(resources: dict[str, float], fits: bool) -> None:
    assert DeploymentArgs(cpus=2, resources={"d": 0.01}).fits(resources) is fits


def test_importing_the_package_does_not_import_ray_or_torch() -> None:
    code = (
        "import sys, vbench.pipeline, vbench.pipeline.api_schema; print({'ray', 'torch'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout == "set()\n"
