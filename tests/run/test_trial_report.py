"""What is printed says how much it can be trusted."""

from collections.abc import Callable
from dataclasses import asdict
from io import StringIO

from rich.console import Console

from tests.support import records
from vbench.record.bottleneck import Bottleneck, ResourceTime
from vbench.record.deployment_times import DeploymentTimes, of_deployments
from vbench.record.trial import Rule
from vbench.run.trial_report import caveats, show_sweep, show_trial

METRICS = {
    "requests": 3.0,
    **{f"latency_{name}_s": 2.0 for name in ("mean", "p50", "p90", "p99", "max")},
    "throughput_video_s_per_s": 6.0,
    "throughput_frames_per_s": 6.0,
    "decode_compute_s": 1.25,
}


def printed(show: Callable[..., None], *what: object) -> str:
    out = StringIO()
    show(Console(file=out, width=110), *what)
    return out.getvalue()


def test_a_valid_trial_shows_latency_with_n_and_stage_times() -> None:
    text = printed(show_trial, records.trial(metrics=METRICS))
    assert "n = 3 requests" in text
    assert "2.00 s" in text
    assert "1.250" in text


def test_quantiles_show_their_intervals_or_how_many_requests_they_need() -> None:
    few = printed(show_trial, records.trial(metrics=METRICS))
    assert all(f"n = {needed}" in few for needed in (6, 36, 368))
    ends = {"latency_p90_low_s": 1.93, "latency_p90_high_s": 2.07}
    many = records.trial(metrics={**METRICS, **ends, "requests": 48.0})
    text = printed(show_trial, many)
    assert "[1.93, 2.07]" in text
    assert "n = 368" in text
    assert "n = 36 " not in text
    sweep = printed(show_sweep, [many, records.trial(metrics=METRICS)])
    assert "needs n = 36" in sweep


def test_a_broken_rule_is_shown_with_its_remedy_and_numbers_are_marked() -> None:
    rule = Rule(name="nothing was spilled to disk", passed=False, observed="9 MB spilled", remedy="raise it")
    text = printed(show_trial, records.trial(valid=False, rules=[rule], metrics=METRICS))
    assert "INVALID (0 of 1 rules passed)" in text
    assert "broken: nothing was spilled to disk: 9 MB spilled" in text
    assert "raise it" in text


def test_a_trial_without_answers_shows_no_latency() -> None:
    text = printed(show_trial, records.trial(valid=False, metrics={"requests": 3}, error="Ray ended"))
    assert "Latency" not in text
    assert "Ray ended" in text


def test_the_bottleneck_is_named_with_its_utilisation() -> None:
    bottleneck = Bottleneck(
        measured_s=20.0,
        resources=(
            ResourceTime(resource="flows", where="d to m, 1 connection of 80 Mbit/s", busy_s=18.0),
            ResourceTime(resource="models", where="1 replica", busy_s=2.5),
        ),
    )
    text = printed(show_trial, records.trial(metrics=METRICS, bottleneck=bottleneck))
    assert "Bottleneck: flows (d to m, 1 connection of 80 Mbit/s), busy 18.0 of 20.0 s (90%)" in text
    assert "others busy: models 2.5 s" in text
    assert "Bottleneck" not in printed(show_trial, records.trial(metrics=METRICS))


def test_what_is_approximate_says_so_wherever_it_is_shown() -> None:
    config = records.trial().config
    keyframes = {**config, "pipeline": {**config["pipeline"], "keyframes_only": True}}
    approximate = records.trial(metrics=METRICS, config=keyframes)
    assert "APPROXIMATE: keyframes stand in for" in printed(show_trial, approximate)
    assert any("APPROXIMATE" in line for line in caveats([approximate, records.trial(metrics=METRICS)]))
    assert "APPROXIMATE" not in printed(show_trial, records.trial(metrics=METRICS))


def test_random_weights_are_told_wherever_results_are_shown() -> None:
    config = records.trial().config
    untrained = {**config, "model": {**config["model"], "weights": "random"}}
    random = records.trial(metrics=METRICS, config=untrained)
    assert "RANDOM WEIGHTS: the model was never trained" in printed(show_trial, random)
    assert any("RANDOM WEIGHTS" in line for line in caveats([random, records.trial(metrics=METRICS)]))
    assert "RANDOM" not in printed(show_trial, records.trial(metrics=METRICS))


def test_a_sweep_of_runtimes_on_one_node_says_what_it_cannot_show() -> None:
    trials = [
        records.trial(metrics=METRICS, config=asdict(records.config(f"runtime={name}")))
        for name in ("oss", "anyscale")
    ]
    lines = caveats(trials)
    assert any("differences may be noise" in line for line in lines)
    assert any("no connections between nodes" in line for line in lines)
    assert "2 trials" in printed(show_sweep, trials)
    assert caveats(trials[:1]) == []


def test_a_transfer_shows_mbit_per_second_and_no_stages() -> None:
    latencies = {name: value for name, value in METRICS.items() if "latency" in name or name == "requests"}
    config = asdict(records.config("load=transfer", "cluster=emulated"))
    moved = records.trial(
        config=config, clip=None, metrics={**latencies, "transfer_mbps": 1590.4, "infer_transfer_s": 1.3}
    )
    text = printed(show_trial, moved)
    assert "n = 3 requests of 4 objects of 48 MB, 1 at a time" in text
    assert "1590.4" in text
    assert "Mbit/s" in text
    assert not {"video-s/s", "frames/s", "stage"} & set(text.split())
    assert "video-s/s" not in printed(show_sweep, [moved, moved])
    both = printed(show_sweep, [records.trial(metrics=METRICS), moved])
    assert "video-s/s" in both
    assert "1590.4" in both


def test_an_application_shows_the_time_of_each_deployment_and_names_busy_replicas() -> None:
    config = asdict(records.config("workload=app", "app.import_path=main:app"))
    times = DeploymentTimes(
        deployment="Embedder",
        replicas=2,
        calls=6,
        wait_mean_s=0.25,
        processing_mean_s=0.5,
        processing_s=[0.5] * 6,
        own_mean_s=0.125,
        after_calls_mean_s=0.3,
        busy_s=27.4,
        at_once=1.0,
    )
    trial = records.trial(
        config=config,
        clip=None,
        metrics=METRICS | of_deployments([times], requests=3, measured_s=27.7),
        bottleneck=Bottleneck(
            measured_s=27.7,
            resources=[
                ResourceTime(resource="replicas", where="Embedder's 2 replicas", busy_s=27.4),
                ResourceTime(resource="cores", where="2 of host", busy_s=9.0),
            ],
        ),
    )
    text = printed(show_trial, trial)
    cells = [cell.strip() for line in text.splitlines() if "Embedder " in line for cell in line.split("│")]
    assert cells == ["", "Embedder", "2", "0.250", "0.500", "0.125", "0.300", "99%", ""]
    assert "Bottleneck: Embedder's 2 replicas, busy 27.4 of 27.7 s (99%)\n" in text
    assert "others busy: cores 9.0 s" in text
    assert "Stage time per request" not in text
