"""Manifests are what KubeRay's own definition and Serve's own schema take, and change only on purpose."""

import importlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

from vbench.cli.manifests.command import main, rendered
from vbench.config.option_files import OptionFiles
from vbench.config.runtime_env import flag_variables, variables_of
from vbench.errors import ConfigError
from vbench.pipeline.config import PipelineArgs
from vbench.run.compose import compose_configs

GOLDEN = Path(__file__).with_name("golden")
SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "schemas"
CASES = {
    "kuberay-anyscale": (
        "kuberay",
        "cluster=aws",
        "runtime=anyscale",
        "pipeline=published",
        "model=rtdetr",
        "model.device=cuda",
    ),
    "kuberay-oss": ("kuberay", "cluster=aws", "runtime=oss"),
    "kuberay-single": ("kuberay", "cluster=aws", "runtime=single", "runtime.image=registry.example/vbench:1"),
    "kuberay-cluster": ("kuberay-cluster", "cluster=aws", "runtime=anyscale"),
    "anyscale-anyscale": (
        "anyscale",
        "cluster=aws",
        "runtime=anyscale",
        "model=rtdetr",
        "model.device=cuda",
        "video=file",
        "video.path=s3://videos/a.mp4",
    ),
    "anyscale-compute": ("anyscale-compute", "cluster=aws", "runtime=oss"),
    "rayup-anyscale": (
        "rayup",
        "cluster=aws",
        "runtime=anyscale",
        "cluster.region=eu-central-1",
        "runtime.image=registry.example/vbench:anyscale",
    ),
    "rayup-single": (
        "rayup",
        "cluster=aws",
        "runtime=single",
        "runtime.image=registry.example/vbench:single",
    ),
    "serve-aws": ("serve", "cluster=aws", "video=file", "video.path=s3://videos/a.mp4", "mode=combined"),
}


def manifest(case: str) -> str:
    kind, *overrides = CASES[case]
    (config,) = compose_configs(overrides, multirun=False)
    return rendered(kind, config, overrides)


@pytest.mark.parametrize("case", CASES)
def test_a_manifest_is_as_it_was(case: str) -> None:
    assert manifest(case) == (GOLDEN / f"{case}.yaml").read_text(), (
        f"if this change is meant: vbench manifests {' '.join(CASES[case])} "
        f"--out {(GOLDEN / case).relative_to(Path.cwd())}.yaml"
    )


def closed(schema: Any) -> Any:
    """A structural schema in which fields that it does not name are errors, not dropped in silence."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if (
        isinstance(schema.get("properties"), dict)
        and schema.get("type") == "object"
        and "additionalProperties" not in schema
        and not schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        made["additionalProperties"] = False
    return made


@pytest.fixture(scope="module")
def ray_service_schema() -> dict[str, Any]:
    return kuberays_schema("rayservices")


def kuberays_schema(plural: str) -> dict[str, Any]:
    path = SCHEMAS / f"ray.io_{plural}.yaml"
    if not path.exists():
        pytest.skip(f"KubeRay's definitions are not at {path}")
    definition = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (v1,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1")
    found: dict[str, Any] = closed(v1["schema"]["openAPIV3Schema"])
    return found


@pytest.mark.parametrize("case", [case for case, (kind, *_) in CASES.items() if kind == "kuberay"])
def test_kuberay_takes_the_manifest_whole(case: str, ray_service_schema: dict[str, Any]) -> None:
    jsonschema.validate(yaml.safe_load(manifest(case)), ray_service_schema)


def test_kuberay_takes_the_cluster_alone() -> None:
    cluster = yaml.safe_load(manifest("kuberay-cluster"))
    jsonschema.validate(cluster, kuberays_schema("rayclusters"))
    service = yaml.safe_load(manifest("kuberay-anyscale"))
    assert cluster["kind"] == "RayCluster"
    served = service["spec"]["rayClusterConfig"]
    assert containers(cluster["spec"]) != containers(served), "the service's proxy has middleware"
    del containers(served)[0]["env"][-2:]
    assert cluster["spec"] == served


def containers(cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """The head's, and those of the groups of workers."""
    templates = [cluster["headGroupSpec"]["template"], *(g["template"] for g in cluster["workerGroupSpecs"])]
    return [template["spec"]["containers"][0] for template in templates]


@pytest.mark.parametrize("runtime", OptionFiles().groups()["runtime"])
def test_every_runtime_reaches_every_node(runtime: str) -> None:
    overrides = ["cluster=aws", f"runtime={runtime}", "runtime.image=registry.example/vbench:1"]
    (config,) = compose_configs(overrides, multirun=False)
    wanted = variables_of(config.runtime)
    for container in containers(yaml.safe_load(rendered("kuberay-cluster", config, overrides))["spec"]):
        given = {entry["name"]: entry["value"] for entry in container["env"]}
        assert wanted.items() <= given.items()
    cluster = yaml.safe_load(rendered("rayup", config, overrides))
    for node in ("head", "worker"):
        (start,) = (text for text in cluster[f"{node}_start_ray_commands"] if "ray start" in text)
        assert all(f"{name}={value} " in start for name, value in wanted.items())


def test_the_proxy_of_a_ray_service_refuses_what_there_is_no_room_for() -> None:
    head, *workers = containers(yaml.safe_load(manifest("kuberay-oss"))["spec"]["rayClusterConfig"])
    given = {entry["name"]: entry["value"] for entry in head["env"]}
    assert given["VBENCH_PROXY_PLACES"] == str(2 * (8 + 64)), (
        "two services, each with so many at work and queued"
    )
    module, _, name = given["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    for worker in workers:
        assert not any("PROXY" in entry["name"] for entry in worker["env"]), "no proxy runs there"


def test_anyscales_own_models_take_service_and_cluster() -> None:
    # Here, since every worker of pytest-xdist collects this file.
    from anyscale.compute_config.models import ComputeConfig
    from anyscale.service.models import ServiceConfig

    service = yaml.safe_load(manifest("anyscale-anyscale"))
    made = ServiceConfig.from_dict(service)
    assert made.image_uri == "vbench:anyscale"
    ServeDeploySchema.model_validate({"applications": service["applications"]})
    compute = ComputeConfig.from_dict(yaml.safe_load(manifest("anyscale-compute")))
    workers = [worker for worker in compute.worker_nodes or [] if not isinstance(worker, dict)]
    assert {worker.name: worker.min_nodes for worker in workers} == {"gpu": 1, "chunk": 2, "decode": 1}
    assert service["compute_config"] == yaml.safe_load(manifest("anyscale-compute"))
    with pytest.raises(TypeError, match="instance_typ"):
        ComputeConfig.from_dict({"head_node": {"instance_typ": "m5.large"}})


@pytest.mark.parametrize("case", ["rayup-anyscale", "rayup-single"])
def test_ray_ups_own_schema_takes_the_file_and_every_ray_start_has_the_flags(case: str) -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load(manifest(case))
    jsonschema.validate(cluster, schema)
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        jsonschema.validate({**cluster, "max_worker": 4}, schema)
    starts = [
        command
        for place in ("head", "worker")
        for command in cluster[f"{place}_start_ray_commands"]
        if "ray start" in command
    ]
    (config,) = compose_configs(CASES[case][1:], multirun=False)
    flags = [f"{name}={value}" for name, value in flag_variables(config.runtime.connections).items()]
    assert len(starts) == 2
    for command in starts:
        before, _, _ = command.partition("ray start")
        assert [word for word in before.split() if "manager" in word] == flags
    assert sum(kind["min_workers"] for kind in cluster["available_node_types"].values()) == 4


def test_ray_up_needs_instance_types() -> None:
    (config,) = compose_configs(["cluster=local", "runtime.image=r/v:1"], multirun=False)
    with pytest.raises(ConfigError, match=r"cluster.nodes of head have no instance type"):
        rendered("rayup", config, [])


def test_ray_up_needs_an_image_that_can_be_pulled() -> None:
    (config,) = compose_configs(["cluster=aws"], multirun=False)
    with pytest.raises(ConfigError, match=r"runtime.image=null: ray up's nodes pull the image"):
        rendered("rayup", config, [])


def test_kuberay_would_not_take_a_field_misspelt(ray_service_schema: dict[str, Any]) -> None:
    service = yaml.safe_load(manifest("kuberay-oss"))
    service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["replica"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.validate(service, ray_service_schema)


@pytest.mark.parametrize(
    ("case", "flags"),
    [
        (
            "kuberay-anyscale",
            {
                "RAY_experimental_object_manager_enable_multiple_connections": "1",
                "RAY_object_manager_client_connection_num": "15",
            },
        ),
        ("kuberay-single", {"RAY_experimental_object_manager_enable_multiple_connections": "0"}),
        ("kuberay-oss", {}),
    ],
)
def test_every_pod_has_the_runtimes_flags_and_no_others(case: str, flags: dict[str, str]) -> None:
    found = containers(yaml.safe_load(manifest(case))["spec"]["rayClusterConfig"])
    assert len(found) == 4
    for container in found:
        given = {entry["name"]: entry["value"] for entry in container["env"]}
        assert {name: value for name, value in given.items() if "manager" in name} == flags


def test_equal_nodes_are_one_group_and_keep_their_resources() -> None:
    cluster = yaml.safe_load(manifest("kuberay-oss"))["spec"]["rayClusterConfig"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert {name: group["replicas"] for name, group in groups.items()} == {"gpu": 1, "chunk": 2, "decode": 1}
    assert json.loads(json.loads(groups["chunk"]["rayStartParams"]["resources"])) == {"chunk_only": 1}
    assert groups["gpu"]["rayStartParams"]["num-gpus"] == "4"
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_serve_takes_the_configuration_and_the_graph_its_arguments() -> None:
    config = yaml.safe_load(manifest("serve-aws"))
    (application,) = ServeDeploySchema.model_validate(config).applications
    args = PipelineArgs.model_validate(application.args)
    assert (args.mode, args.sources, args.decoder.replicas) == ("combined", ("s3",), 32)
    inside = yaml.safe_load(manifest("kuberay-oss"))["spec"]["serveConfigV2"]
    ServeDeploySchema.model_validate(yaml.safe_load(inside))


def test_what_is_wrong_is_said_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.yaml"
    assert main(["kuberay", "cluster=aw", "--out", str(out)]) != 0
    assert "did you mean 'aws'?" in capsys.readouterr().err
    assert main(["serve", "--out", str(tmp_path / "none" / "a.yaml")]) != 0
    assert "cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_trial_does_not_bring_up_what_is_only_rendered() -> None:
    from vbench.errors import InputError
    from vbench.run.preflight import check_machine

    with pytest.raises(InputError, match=r"cluster=aws describes machines that other tools start: write a"):
        check_machine(compose_configs(["cluster=aws"], multirun=False))
