"""What cannot be run is refused before anything starts, in a sentence that names the value and the remedy."""

import shlex
from pathlib import Path

import pytest

from vbench.clusters.emulated.validate import network
from vbench.config.option_files import OptionFiles
from vbench.config.sizing import replicas
from vbench.errors import ConfigError
from vbench.load.pipeline_args import pipeline_args
from vbench.run.command_line import read_command_line
from vbench.run.compose import compose_configs, compose_trials
from vbench.run.hydra_app import run_in_folder
from vbench.run.overrides import parse


def refused(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose_configs(overrides, multirun=multirun)
    return str(caught.value)


def test_the_main_job_composes() -> None:
    (config,) = compose_configs([], multirun=False)
    assert (config.cluster.name, config.runtime.name, config.mode) == ("local", "oss", "chunked")


@pytest.mark.parametrize(
    ("overrides", "queue_length"),
    [
        ([], 64),
        (["load.concurrency=100", "load.requests=100"], 100),
        (["pipeline.queue_length=3"], 3),
    ],
)
def test_no_request_of_a_trials_closed_loop_is_refused_by_default(
    overrides: list[str], queue_length: int
) -> None:
    (config,) = compose_configs(overrides, multirun=False)

    assert pipeline_args(config).queue_length == queue_length


KIND = {"attached_aws": "attached"}
"""Option -> its name, for an option that is another way to describe the same kind."""


@pytest.mark.parametrize("group", OptionFiles().groups())
def test_every_option_file_composes(group: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text('{"at_s": 0}')
    for option in OptionFiles().groups()[group]:
        extra = {
            "file": ["video.path=clip.mp4"],
            "transfer": ["cluster=emulated"],
            "app": ["app.import_path=main:app"],
            "constant": ["load.rate=1"],
            "poisson": ["load.rate=1"],
            "ramp": ["load.rate=1", "load.rate_end=2"],
            "trace": [f"load.trace={trace}"],
        }.get(option, [])
        (config,) = compose_configs([f"{group}={option}", *extra], multirun=False)
        chosen = getattr(config, group)
        assert KIND.get(option, option) in (chosen, getattr(chosen, "name", None))


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
        ("runtime.connections=0", "runtime.connections=0 must be between 1 and 64"),
        ("runtime.connections=-1", "runtime.connections=-1 must be between 1 and 64"),
        ("runtime.connections=abc", "runtime.connections=abc"),
        ("pipeline.fps=0", "pipeline.fps=0"),
        ("pipeline.fps=1/0", "pipeline.fps=1/0"),
        ("pipeline.chunk_s=nan", "pipeline.chunk_s=nan"),
        ("video=file", "add video.path=clip.mp4"),
        ("video.scene.width=33", "scene width 33"),
        ("model.device=tpu", "model.device=tpu"),
        ("model.device=cuda", "inference.gpus is 0"),
        ("cluster.nodes.head.object_store_mb=10", "object_store_mb=10 is too little"),
        ("cluster.deployments.decoder.replicas=999", "cluster.deployments need"),
        ("+cluster.deployments.service.resources.gpu_only=1", "need 1 gpu_only"),
        ("cluster.http_port=70000", "cluster.http_port=70000"),
        ("cluster.address=http://h:8265", "cluster.address=http://h:8265 applies only to cluster=attached"),
        ("cluster.dashboard_port=8265", "cluster.dashboard_port=8265 applies only to cluster=emulated"),
        ("cluster.dependencies=conda", "cluster.dependencies=conda does not exist"),
        ("+unknown=1", "'unknown' does not exist"),
        ("video.path=clip.mp4", "add video=file"),
        ("runtime.name=anyscale", "choose it with runtime=anyscale"),
        ("model.name=foo", "choose it with model=foo"),
        ("outputs=", "outputs='' must name a folder"),
        ("outputs= ", "outputs=' ' must name a folder"),
        ("pipeline.frames_budget_mb=inf", "pipeline.frames_budget_mb=inf"),
        ("pipeline.chunk_mb=0", "pipeline.chunk_mb=0.0 must be above 0"),
        ("pipeline.chunk_mb=-1", "pipeline.chunk_mb=-1.0 must be above 0"),
        ("pipeline.pixel_format=yuv422p", "did you mean 'yuv420p'?"),
        (
            "pipeline.queue_length=-1",
            "pipeline.queue_length=-1 must be 0 or more and not above 10,000, or null",
        ),
        ("pipeline.window=0", "pipeline.window=0 must be 1 or more and not above 1,000,000"),
        ("model.score_threshold=1", "model.score_threshold=1.0 must be above 0 and below 1"),
        ("model.batch_wait_ms=nan", "model.batch_wait_ms=nan must be 0 or more and not above 60,000"),
        ("pipeline.hwaccel=cudo", "did you mean 'cuda'?"),
        ("model.compile=maybe", "model.compile=maybe"),
        ("cluster.deployments.decoder.cpus=nan", "decoder.cpus=nan"),
        ("load.timeout_s=1e10", "load.timeout_s="),
        ("video.path=clip(1).mp4", "quote this value for Hydra and the shell: \"video.path='clip(1).mp4'\""),
        ("video.path=it's.mp4", "quote this value for Hydra and the shell: "),
        ("video.path=a,b.mp4", "if it is one value, quote it: \"video.path='a,b.mp4'\""),
        (
            "hydra.run.dir=a,b",
            "this key takes one value; if it has a comma, quote it: \"hydra.run.dir='a,b'\"",
        ),
        ("+hydra.sweeper.params.mode=chunked,combined", "--multirun mode=chunked,combined"),
        ("hydra.sweeper.params={mode: chunked}", "--multirun mode=chunked,combined"),
        ("outputs=~nobody-of-this-name/x", "there is no such user"),
        ("~tracking", "only a node, a resource, an address or a variable can be deleted"),
        ("~cluster.nodes", "only a node, a resource, an address or a variable can be deleted"),
        ("~cluster.nodes.head", "cluster=local needs at least one node"),
        ("~cluster.nodes.heat", "did you mean 'head'?"),
        ("~cluster.nodes.head=1", 'to delete it, leave out the value: "~cluster.nodes.head"'),
        ("--nonsense", "--nonsense"),
        ("mode=chunked,combined", "add --multirun"),
        ("runtime.connectionz=2", "did you mean 'connections'?"),
        ("label=a,b", "add --multirun"),
        ("blocks=2", "blocks=2 is for a sweep: add --multirun"),
        ("blocks=0", "blocks=0 must be between 1 and 1,000"),
        ("block=-1", "block=-1"),
        ("load=opened", "did you mean 'closed'?"),
        ("load.objects=0", "load.objects=0"),
        ("load.sample_period_s=1.5", "load.sample_period_s=1.5 must be 1 s or less"),
        ("load.sample_period_s=0", "load.sample_period_s=0"),
        ("load.object_mb=nan", "load.object_mb=nan"),
        ("load.max_machine_cpu_percent=101", "load.max_machine_cpu_percent=101"),
        ("cluster.flow_mbps=100", "cluster.flow_mbps=100 applies only to cluster=emulated"),
        ("cluster.nodes.head.nic_mbps=9", "cluster.nodes.head.nic_mbps=9 applies only to cluster=emulated"),
        ("cluster.scale=100", "cluster.scale=100 applies only to cluster=emulated"),
        ("+experiments=anyscale_vs_os", "did you mean 'anyscale_vs_oss'?"),
        ("experiments=aa", "lacks a plus sign: give +experiments=aa"),
        ("+experiments=aa,connections", "one study at a time"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(override: str, named: str) -> None:
    if override.startswith("--"):
        with pytest.raises(ConfigError, match=override):
            read_command_line([override])
    else:
        assert named in refused(override)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("cluster.flow_mbps=0", "cluster.flow_mbps=0 must be above 0"),
        ("cluster.flow_mbps=null", "cluster.flow_mbps=null: cluster=emulated needs a rate"),
        ("cluster.flow_mbps=nan", "cluster.flow_mbps=nan must be above 0"),
        ("cluster.flow_mbps=fast", "cluster.flow_mbps=fast"),
        ("cluster.flow_mbps=13000", "cluster.flow_mbps=13000 is above cluster.nodes.head.nic_mbps=12500"),
        ("cluster.nodes.gpu.nic_mbps=0", "cluster.nodes.gpu.nic_mbps=0 must be above 0"),
        ("cluster.nodes.gpu.nic_mbps=-1", "cluster.nodes.gpu.nic_mbps=-1 must be above 0"),
        ("cluster.nodes.gpu.nic_mbps=null", "cluster.nodes.gpu.nic_mbps=null: cluster=emulated needs"),
        ("cluster.scale=0", "cluster.scale=0 must be above 0"),
        ("cluster.scale=inf", "cluster.scale=inf must be above 0"),
        ("cluster.scale=20000", "leaves 0.5 Mbit/s per connection"),
        ("cluster.scale=2001", "give cluster.scale=2000 or less"),
        ("runtime.connections=0", "runtime.connections=0 must be between 1 and 64"),
        ("runtime.connections=-1", "runtime.connections=-1 must be between 1 and 64"),
        ("runtime.connections=abc", "runtime.connections=abc"),
    ],
)
def test_a_wrong_network_is_named_with_its_remedy(override: str, named: str) -> None:
    assert named in refused("cluster=emulated", override)


def test_a_video_that_no_node_could_read_is_refused_without_what_may_be_secret_in_its_address() -> None:
    ftp = refused("video=file", "video.path='ftp://me:key@host/a.mp4'")
    assert "video.path=ftp://host/a.mp4 cannot be read: there is no source 'ftp'" in ftp
    emulated = refused("cluster=emulated", "video=file", "video.path='https://host/a.mp4?sig=key'")
    assert "video.path=https://host/a.mp4 cannot be reached from cluster=emulated" in emulated


def test_more_connections_than_can_be_shaped_are_refused() -> None:
    (config,) = compose_configs(["cluster=emulated", "runtime.connections=64"], multirun=False)
    config.cluster.nodes["one more"] = config.cluster.nodes["decode"]
    assert "makes 320 connections per node, of which at most 256 can be shaped" in " ".join(network(config))


def test_an_emulated_cluster_of_one_node_is_refused() -> None:
    (config,) = compose_configs(["cluster=emulated"], multirun=False)
    config.cluster.nodes = {"head": config.cluster.nodes["head"]}
    assert "needs at least two nodes" in " ".join(network(config))


@pytest.mark.parametrize(
    ("line", "remedy"),
    [
        ("+cluster.addresses.oss=a,b", "\"+cluster.addresses.oss='a,b'\""),
        ("video.path=a,b.mp4", "\"video.path='a,b.mp4'\""),
        ("+hydra.job.env_set.X=a,b", "\"+hydra.job.env_set.X='a,b'\""),
    ],
)
def test_a_value_with_a_comma_is_told_how_to_be_one_value(line: str, remedy: str) -> None:
    said = refused(line)
    assert remedy in said
    (override,) = parse(shlex.split(remedy))
    assert not override.is_sweep_override()
    assert override.value() == line.partition("=")[2]


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("127.0.0.1:6379", "cluster.address=127.0.0.1:6379 is not the URL of a Ray dashboard"),
        ("ray://head:10001", "cluster.address=ray://head:10001 is not the URL of a Ray dashboard"),
        ("http://h:port", "cluster.address=http://h:port is not the URL of a Ray dashboard"),
        ("https://me:secret@h:8265", "cluster.address must not contain a password"),
    ],
)
def test_an_address_that_is_no_dashboards_is_refused(address: str, named: str) -> None:
    said = refused("cluster=attached", f"cluster.address='{address}'")
    assert named in said
    assert "secret" not in said


def test_a_group_is_chosen_by_its_folder_and_by_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra takes any folder on its search path for a group: one for the outputs must not be."""
    monkeypatch.chdir(tmp_path)
    for name in ("outputs", "label", "block"):
        (tmp_path / name).mkdir()
    (config,) = compose_configs(["outputs=elsewhere", "label=x", "block=3"], multirun=False)
    assert (config.outputs, config.label, config.block) == ("elsewhere", "x", 3)


@pytest.mark.parametrize("cores", [1, 2, 16, 128, 448])
def test_the_main_job_fits_machines_of_any_size(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vbench.config.sizing.machine_cpus", lambda: cores)
    (config,) = compose_configs([], multirun=False)
    sizes = {name: replicas(config.cluster, name) for name in ("decoder", "inference")}
    assert sizes["decoder"] == cores
    assert 1 <= sizes["inference"] <= max(1, cores // 3)


def test_published_sets_all_choices_of_the_data_path() -> None:
    (config,) = compose_configs(["pipeline=published"], multirun=False)
    assert (config.pipeline.handoff, config.pipeline.frame_size) == ("relay", "native")
    assert (config.pipeline.prune, config.pipeline.overlap) == (False, False)
    assert config.model.batch_size == 1


def test_resources_may_be_added_by_name() -> None:
    (config,) = compose_configs(["+cluster.nodes.head.resources.spare=2"], multirun=False)
    assert config.cluster.nodes["head"].resources["spare"] == 2


def test_a_home_folder_is_written_out_wherever_a_path_may_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    for outputs in ("outputs=~/runs", "outputs='~/runs'"):
        asked = compose_trials(
            [outputs, "video=file", "video.path=~/clip.mp4", "model.weights=~/w"], multirun=True
        )
        (config,) = asked.configs
        assert config.outputs == "/home/ada/runs"
        assert config.video.path == "/home/ada/clip.mp4"
        assert config.model.weights == "/home/ada/w"
        assert asked.sweep_dir.startswith("/home/ada/runs/sweeps/")
    (config,) = compose_configs(["outputs='./~/runs'"], multirun=False)
    assert config.outputs == "./~/runs"


def test_relative_paths_mean_the_same_in_a_trial_that_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[tuple[Path, Path]] = []
    folder = tmp_path / "it's, a {folder}"

    composition = compose_trials(["hydra.job.chdir=true"], multirun=False)

    def task(where: Path) -> None:
        seen.append((Path.cwd(), where))

    run_in_folder(composition, composition.arms[0], task, folder=folder)
    assert seen == [(tmp_path, folder)]
    assert Path.cwd() == tmp_path
