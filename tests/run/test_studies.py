"""Studies and sweeps compose to their arms, checked as a whole, or are refused with the remedy."""

import pytest

from tests.support.runs import ROOT
from vbench.clusters.attached.cluster import address_of
from vbench.config.option_files import OptionFiles
from vbench.config.workload import TRANSFERS, VIDEO, workload_of
from vbench.errors import ConfigError, InputError
from vbench.run.compose import compose_configs, compose_trials
from vbench.run.overrides import expand, parse, swept_keys


def refused(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose_configs(overrides, multirun=multirun)
    return str(caught.value)


@pytest.mark.parametrize("study", OptionFiles().studies())
def test_every_study_composes_to_a_sweep_in_blocks(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the application of a study is
    asked = compose_trials([f"+experiments={study}"], multirun=False)
    assert asked.multirun
    assert asked.swept
    assert len(asked.configs) > 1
    assert {config.blocks for config in asked.configs} == {5}
    assert {config.load.sample_period_s for config in asked.configs} == {0.25}
    for config in asked.configs:
        if workload_of(config) == TRANSFERS:
            continue
        # Start and drain are a small part, and a request has chunks to work on side by side.
        assert config.load.requests >= max(48, 12 * config.load.concurrency)
        if workload_of(config) == VIDEO:
            assert config.video.scene is not None
            assert config.video.scene.length_s / (config.pipeline.chunk_s or 1) >= 4


def test_the_main_study_is_the_published_comparison() -> None:
    asked = compose_trials(["+experiments=anyscale_vs_oss"], multirun=False)
    assert asked.swept == ("cluster.flow_mbps", "runtime", "mode")
    assert len(asked.configs) == 12
    one = asked.configs[0]
    assert (one.cluster.name, one.cluster.scale, one.pipeline.name) == ("emulated", 100, "published")
    assert (one.video.scene and one.video.scene.height, one.load.requests, one.load.concurrency) == (
        1080,
        48,
        4,
    )
    assert {config.runtime.connections for config in asked.configs} == {1, None, 15}


def test_the_main_study_composes_on_two_clusters_that_run_already() -> None:
    """As the README has it: one cluster a runtime."""
    arms = compose_configs(
        [
            "+experiments=anyscale_vs_oss",
            "cluster=attached",
            "cluster.flow_mbps=null",
            "runtime=single,anyscale",
            "video=file",
            "video.path=s3://BUCKET/hour.mp4",
            "pipeline.chunk_s=300",
            "load.requests=12",
            "model=rtdetr",
            "model.device=cuda",
            "+cluster.addresses.anyscale=http://127.0.0.1:8265",
            "+cluster.addresses.single=http://127.0.0.1:8266",
        ],
        multirun=False,
    )
    addresses = {(arm.runtime.name, arm.mode): address_of(arm) for arm in arms}
    assert addresses == {
        ("single", "chunked"): "http://127.0.0.1:8266",
        ("single", "combined"): "http://127.0.0.1:8266",
        ("anyscale", "chunked"): "http://127.0.0.1:8265",
        ("anyscale", "combined"): "http://127.0.0.1:8265",
    }
    (no_other,) = compose_configs(
        ["cluster=attached", "+cluster.addresses.single=http://h:1"], multirun=False
    )
    with pytest.raises(InputError, match=r"no address for runtime=oss; cluster.addresses has single: set"):
        address_of(no_other)


def test_the_command_line_wins_over_a_study() -> None:
    mine = ["runtime=single,anyscale", "mode=chunked", "blocks=2", "load.requests=6", "load.seed=3,4"]
    asked = compose_trials([*mine, "+experiments=anyscale_vs_oss", "cluster.flow_mbps=5000"], multirun=False)
    assert asked.swept == ("runtime", "load.seed")
    assert [(c.runtime.name, c.load.seed) for c in asked.configs] == [
        ("single", 3),
        ("single", 4),
        ("anyscale", 3),
        ("anyscale", 4),
    ]
    one = asked.configs[0]
    assert (one.mode, one.blocks, one.load.requests, one.cluster.flow_mbps) == ("chunked", 2, 6, 5000)


def test_a_study_is_checked_as_the_command_line_is() -> None:
    assert "did you mean 'anyscale'" in refused("+experiments=anyscale_vs_oss", "runtime=anyscal,oss")
    assert "is above" in refused("+experiments=anyscale_vs_oss", "cluster.flow_mbps=60000")
    assert "did you mean 'connections'" in refused("+experiments=connections", "runtime.connectionz=2")


def test_blocks_are_numbered_by_the_sweep_alone() -> None:
    assert "set how many with blocks=2" in refused("block=0,1", multirun=True)
    assert "set how many with blocks=2" in refused("block=1", "mode=chunked,combined", multirun=True)
    assert "one number of blocks" in refused("blocks=1,2", multirun=True)


@pytest.mark.parametrize("override", ["hydra.sweep.subdir=x", "hydra/launcher=basic", "hydra/sweeper=basic"])
def test_what_a_sweep_does_itself_cannot_be_given_to_hydra(override: str) -> None:
    assert "vbench runs its sweeps itself" in refused("mode=chunked,combined", override, multirun=True)


def test_a_sweep_is_checked_whole_before_it_starts() -> None:
    assert "runtime.connections=0" in refused("runtime.connections=2,0", multirun=True)
    assert "did you mean 'combined'" in refused("mode=chunked,combind", multirun=True)


def test_a_sweep_without_a_value_or_of_no_values_is_refused() -> None:
    assert "holds no value: for one value give load.requests=5" in refused(
        "load.requests=range(5,5)", multirun=True
    )
    assert "one by one" in refused("load.requests=interval(1,4)", multirun=True)
    assert "one by one" in refused("mode=glob(*)", multirun=True)


def test_a_sweep_expands_to_all_its_arms() -> None:
    overrides = parse(["mode=chunked,combined", "runtime=oss,anyscale", "load.requests=9"])
    assert swept_keys(overrides) == ["mode", "runtime"]
    assert [arm.overrides for arm in expand(overrides)] == [
        [f"mode={mode}", f"runtime={runtime}", "load.requests=9"]
        for mode in ("chunked", "combined")
        for runtime in ("oss", "anyscale")
    ]
