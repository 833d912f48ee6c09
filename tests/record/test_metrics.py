"""Metrics are what their docstrings say."""

import pytest

from tests.support import records
from vbench.record.measurements import Measurements
from vbench.record.metrics import summarize
from vbench.record.samples import GpuSample, NodeSample


def test_latency_counts_from_when_a_request_was_due() -> None:
    late = records.request(0, scheduled_s=100.0, sent_s=105.0, done_s=106.0)
    metrics = summarize(records.clip(), Measurements(requests=[late]))
    assert metrics["latency_mean_s"] == pytest.approx(6.0)
    assert metrics["client_late_max_ms"] == pytest.approx(5000)


def test_throughput_is_work_over_makespan() -> None:
    requests = [records.request(i) for i in range(3)]
    metrics = summarize(records.clip(), Measurements(requests=requests))
    assert metrics["makespan_s"] == pytest.approx(4.0)
    assert metrics["throughput_video_s_per_s"] == pytest.approx(3.0)
    assert metrics["throughput_frames_per_s"] == pytest.approx(3.0)


def test_stage_times_are_means_over_requests_of_sums_over_chunks() -> None:
    spans = [records.span("decode", "compute", 1.0, request=i) for i in (0, 0, 1)]
    requests = [records.request(i) for i in range(2)]
    metrics = summarize(records.clip(), Measurements(requests=requests, spans=spans))
    assert metrics["decode_compute_s"] == pytest.approx(1.5)
    assert metrics["infer_compute_s"] == 0


def test_frames_relayed_are_handed_over_twice() -> None:
    hops = [records.span("infer", "transfer", 0.1, 4000) for _ in range(2)]
    metrics = summarize(records.clip(), Measurements(requests=[records.request()], spans=hops))
    assert metrics["frames_handed_over_times"] == pytest.approx(2.0)


def test_a_trial_with_a_failure_has_no_latency() -> None:
    requests = [records.request(0), records.request(1, error="HTTP 500")]
    assert summarize(records.clip(), Measurements(requests=requests)) == {"requests": 2}


def test_the_cpu_of_others_is_what_is_neither_the_trials_nor_the_kernels() -> None:
    samples = [records.machine(100.0), records.machine(110.0)]
    metrics = summarize(records.clip(), Measurements(requests=[records.request()], machines=samples))
    assert metrics["cpu_busy_percent"] == pytest.approx(80)
    assert metrics["cpu_trial_percent"] == pytest.approx(78)
    assert metrics["cpu_foreign_percent"] == pytest.approx(1)


def gpu(busy: float, energy_j: float | None, index: int = 0, sm_mhz: int = 1980) -> GpuSample:
    return GpuSample(
        gpu=index, busy_percent=busy, memory_used_mb=1000.0 * (index + 1), energy_j=energy_j, sm_mhz=sm_mhz
    )


def test_gpus_are_averaged_and_their_energy_is_each_requests_share() -> None:
    samples = [
        records.machine(100.0, gpus=[gpu(0, 50.0), gpu(40, 7.0, 1)]),
        records.machine(105.0, gpus=[gpu(80, 90.0, sm_mhz=1700), gpu(40, 8.0, 1, 900)]),
        records.machine(110.0, gpus=[gpu(100, 150.0), gpu(40, 9.0, 1)]),
    ]
    metrics = summarize(
        records.clip(), Measurements(requests=[records.request(0), records.request(1)], machines=samples)
    )
    assert metrics["gpu_busy_percent"] == pytest.approx(50)
    assert metrics["gpu_memory_used_max_mb"] == 2000
    assert metrics["gpu_sm_busy_min_mhz"] == 1700
    assert metrics["gpu_energy_j_per_request"] == pytest.approx((100 + 2) / 2)


def test_energy_that_one_gpu_does_not_count_is_not_told() -> None:
    samples = [records.machine(at, gpus=[gpu(50, None), gpu(50, at, 1)]) for at in (100.0, 110.0)]
    metrics = summarize(records.clip(), Measurements(requests=[records.request()], machines=samples))
    assert metrics["gpu_busy_percent"] == 50
    assert "gpu_energy_j_per_request" not in metrics


def test_stolen_time_is_of_others() -> None:
    samples = [records.machine(100.0), records.machine(110.0, cpu_stolen_s=2.0, cpu_idle_s=44.0 - 2.0)]
    metrics = summarize(records.clip(), Measurements(requests=[records.request()], machines=samples))
    assert metrics["cpu_foreign_percent"] == pytest.approx(11)


def test_interrupts_booked_on_the_trial_hide_nobody() -> None:
    """A kernel that books an interrupt on whom it hits counts it in the trial's time and not as busy."""
    quiet = records.machine(110.0, cpu_idle_s=44.0 - 1.0, cpu_trial_s=1.56 * 110 + 1.0)
    disturbed = records.machine(110.0, cpu_idle_s=44.0 - 3.0, cpu_trial_s=1.56 * 110 + 1.0)
    for last, foreign in ((quiet, 1), (disturbed, 11)):
        samples = [records.machine(100.0), last]
        metrics = summarize(records.clip(), Measurements(requests=[records.request()], machines=samples))
        assert metrics["cpu_foreign_percent"] == pytest.approx(foreign)


def two_nodes(sent: int, received: int) -> list[NodeSample]:
    """``decode`` sends, ``gpu`` receives; both have sent and received 1000 bytes before."""
    return [
        records.sample(at, node=node, nic_sent_bytes=1000 + at * out, nic_received_bytes=1000 + at * into)
        for at in (0, 1)
        for node, out, into in (("decode", sent, 0), ("gpu", 0, received))
    ]


def test_bytes_on_the_wire_stand_beside_those_that_had_to_cross() -> None:
    spans = [
        span
        for request in range(2)
        for span in (
            records.span("decode", "compute", node="decode", request=request),
            records.span("infer", "transfer", nbytes=4_000_000, node="gpu", request=request),
        )
    ]
    requests = [records.request(i, frame_bytes=3_000_000) for i in range(2)]
    nodes = two_nodes(sent=12_000_000, received=11_000_000)
    metrics = summarize(records.clip(), Measurements(requests=requests, spans=spans, nodes=nodes))
    assert metrics["transfer_mb_per_request"] == pytest.approx(4.0)
    assert metrics["wire_mb_per_request"] == pytest.approx(6.0)
    assert metrics["wire_mb_per_request.decode"] == pytest.approx(6.0)
    assert metrics["wire_mb_per_request.gpu"] == 0
    assert metrics["wire_received_mb_per_request.gpu"] == pytest.approx(5.5)
    assert metrics["sent_over_needed"] == pytest.approx(1.5)
    assert metrics["payload_crossings"] == pytest.approx(2.0)
    assert metrics["payload_crossings.gpu"] == pytest.approx(11 / 6)
    late = summarize(
        records.clip(),
        Measurements(requests=requests, spans=spans, nodes=nodes),
        {"decode": 3_000_000, "gpu": 1_000_000},
    )
    assert late["sent_over_needed"] == pytest.approx(2.0)
    assert late["payload_crossings"] == pytest.approx(2.0)


def test_one_node_has_no_wire() -> None:
    metrics = summarize(
        records.clip(), Measurements(requests=[records.request()], nodes=[records.sample(1.0)])
    )
    assert not [name for name in metrics if "wire" in name or "crossings" in name]


def test_a_load_without_video_has_a_rate_in_bits() -> None:
    metrics = summarize(None, Measurements(requests=[records.request(frame_bytes=1_000_000)]))
    assert metrics["transfer_mbps"] == pytest.approx(4.0)
    assert not [name for name in metrics if name.startswith("throughput")]


def test_an_emulated_trial_tells_its_links() -> None:
    network = records.network("decode", "gpu")
    metrics = summarize(
        records.clip(),
        Measurements(requests=[records.request()], nodes=two_nodes(5_000_000, 5_000_000), network=network),
    )
    assert metrics["link_rate_mbps.decode"] == pytest.approx(40.0)
