"""What cannot be run is refused before anything starts, in a sentence that names the value and the remedy."""

import pytest

from vbench.compose import check, expand, groups, parse, swept_keys
from vbench.errors import ConfigError
from vbench.session import split
from vbench.sizing import replicas


def refused(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        check(overrides, multirun=multirun)
    return str(caught.value)


def test_the_main_job_composes() -> None:
    (config,) = check([], multirun=False)
    assert (config.cluster.name, config.runtime.name, config.mode) == ("local", "oss", "chunked")


@pytest.mark.parametrize("group", groups())
def test_every_option_file_composes(group: str) -> None:
    for option in groups()[group]:
        extra = ["video.path=clip.mp4"] if option == "file" else []
        (config,) = check([f"{group}={option}", *extra], multirun=False)
        chosen = getattr(config, group)
        assert option in (chosen, getattr(chosen, "name", None))


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("runtime=anyscal", "did you mean 'anyscale'?"),
        ("runtme=oss", "did you mean 'runtime'?"),
        ("load.reqests=3", "did you mean 'requests'?"),
        ("pipeline.handoff=dirct", "did you mean 'direct'?"),
        ("model.precision=fp33", "did you mean 'fp32'?"),
        ("mode=combine", "did you mean 'combined'?"),
        ("load.requests=many", "load.requests=many"),
        ("load.requests=0", "load.requests=0"),
        ("load.concurrency=100", "load.concurrency=100"),
        ("load.timeout_s=-1", "load.timeout_s=-1"),
        ("runtime.connections=0", "runtime.connections=0 must lie between 1 and 64"),
        ("runtime.connections=-1", "runtime.connections=-1 must lie between 1 and 64"),
        ("runtime.connections=abc", "runtime.connections=abc"),
        ("pipeline.fps=0", "pipeline.fps=0"),
        ("pipeline.fps=1/0", "pipeline.fps=1/0"),
        ("pipeline.chunk_s=nan", "pipeline.chunk_s=nan"),
        ("video=file", "add video.path=clip.mp4"),
        ("video.scene.width=33", "scene width 33"),
        ("model.device=tpu", "model.device=tpu"),
        ("model.device=cuda", "inference.gpus is 0"),
        ("cluster.nodes.head.object_store_mb=10", "object_store_mb=10 is too little"),
        ("cluster.deployments.decoder.replicas=999", "ask for"),
        ("+cluster.deployments.service.resources.gpu_only=1", "ask for 1 gpu_only"),
        ("cluster.http_port=70000", "cluster.http_port=70000"),
        ("+unknown=1", "'unknown' does not exist"),
        ("video.path=clip.mp4", "add video=file"),
        ("runtime.name=anyscale", "choose with runtime=anyscale"),
        ("model.name=foo", "choose with model=foo"),
        ("outputs=", "outputs='' must name a folder"),
        ("pipeline.frames_budget_mb=inf", "pipeline.frames_budget_mb=inf"),
        ("cluster.deployments.decoder.cpus=nan", "decoder.cpus=nan"),
        ("load.timeout_s=1e10", "load.timeout_s="),
        ("video.path=clip(1).mp4", "quote such a value"),
        ("~tracking", "nothing can be taken out"),
        ("--nonsense", "--nonsense"),
        ("mode=chunked,combined", "add --multirun"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(override: str, named: str) -> None:
    if override.startswith("--"):
        with pytest.raises(ConfigError, match=override):
            split([override])
    else:
        assert named in refused(override)


def test_a_sweep_is_checked_whole_before_it_starts() -> None:
    assert "runtime.connections=0" in refused("runtime.connections=2,0", multirun=True)
    assert "did you mean 'combined'" in refused("mode=chunked,combind", multirun=True)


def test_a_sweep_without_a_value_or_of_no_values_is_refused() -> None:
    assert "no trial at all" in refused("load.requests=range(5,5)", multirun=True)
    assert "one by one" in refused("load.requests=interval(1,4)", multirun=True)
    assert "one by one" in refused("mode=glob(*)", multirun=True)


@pytest.mark.parametrize("cores", [1, 2, 16, 128, 448])
def test_the_main_job_fits_machines_of_any_size(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.sizing.machine_cpus", lambda: cores)
    (config,) = check([], multirun=False)
    sizes = {name: replicas(config.cluster, name) for name in ("decoder", "inference")}
    assert min(sizes.values()) >= 1
    assert sum(sizes.values()) == max(2, cores)


def test_a_sweep_expands_to_all_its_arms() -> None:
    overrides = parse(["mode=chunked,combined", "runtime=oss,anyscale", "load.requests=9"])
    assert swept_keys(overrides) == ["mode", "runtime"]
    assert expand(overrides) == [
        [f"mode={mode}", f"runtime={runtime}", "load.requests=9"]
        for mode in ("chunked", "combined")
        for runtime in ("oss", "anyscale")
    ]


def test_published_sets_all_choices_of_the_data_path() -> None:
    (config,) = check(["pipeline=published"], multirun=False)
    assert (config.pipeline.handoff, config.pipeline.frame_size) == ("relay", "native")
    assert config.pipeline.overlap is False
    assert config.model.batch_size == 1


def test_resources_may_be_added_by_name() -> None:
    (config,) = check(["+cluster.nodes.head.resources.spare=2"], multirun=False)
    assert config.cluster.nodes["head"].resources["spare"] == 2
