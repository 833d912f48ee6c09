"""Small records to test on."""

from dataclasses import asdict, replace
from typing import Any

from vbench.compose import check
from vbench.record import Clip, NodeRuntime, NodeSample, Observed, Request, SpanLine, Trial
from vbench.schema import Config


def config(*overrides: str) -> Config:
    return check(overrides, multirun=False)[0]


def request(index: int = 0, **changes: Any) -> Request:
    return replace(
        Request(
            index=index,
            scheduled_s=100.0 + index,
            sent_s=100.001 + index,
            done_s=102.0 + index,
            sent_unix_s=1.7e9 + index,
            status=200,
            error=None,
            frames_expected=4,
            frames_got=4,
            frames_wrong=0,
            detections=7,
            detections_wrong=0,
            mismatch=None,
            digest="d1",
            answer_bytes=1000,
            frame_bytes=4000,
            video_s=4.0,
        ),
        **changes,
    )


def sample(at_s: float, **changes: Any) -> NodeSample:
    return replace(
        NodeSample(
            node="head",
            at_s=at_s,
            unix_s=1.7e9 + at_s,
            # Two cores, of which programs use 80%, and others than the trial 1%.
            cpu_all_s=2 * at_s,
            cpu_busy_s=1.6 * at_s,
            cpu_trial_s=1.56 * at_s,
            cpu_kernel_s=0.02 * at_s,
            cpu_stolen_s=0.0,
            foreign_process="sshd",
            memory_used_mb=3000.0,
            memory_available_mb=20000.0,
            nic_sent_bytes=0,
            nic_received_bytes=0,
            loopback_bytes=0,
            object_store_used_mb=10.0,
            spilled_mb=0.0,
            fallback_mb=0.0,
            gpu_percent=None,
        ),
        **changes,
    )


def observed(**changes: Any) -> Observed:
    return replace(
        Observed(
            ray_version="2.60.0",
            ray_commit="abc",
            phases_s={"deploy": 9.0, "warm_up": 2.0, "measure": 5.0},
            measured_from_s=100.0,
            measured_to_s=110.0,
            runtime_asked={},
            runtime_found=[NodeRuntime(node="head", raylet_pid=1, flags={})],
            placement={"VideoDecoder": {"head": 1}},
            oom_kills=0,
            not_sent=0,
            url="http://127.0.0.1:8000",
        ),
        **changes,
    )


def span(stage: str, kind: str, seconds: float, nbytes: int = 0, request: int = 0) -> SpanLine:
    return SpanLine(
        request=request,
        stage=stage,
        kind=kind,
        chunk=0,
        node="n",
        replica="r",
        start_s=1.7e9,
        end_s=1.7e9 + seconds,
        bytes=nbytes,
    )


def clip() -> Clip:
    return Clip(
        path="clip.mp4",
        fingerprint="f",
        codec="h264",
        width=320,
        height=180,
        duration_s=4.0,
        size_bytes=1,
        frames_expected=4,
        reference="r.json",
        ffmpeg="n9",
        reference_map50=None,
    )


def trial(**changes: Any) -> Trial:
    return replace(
        Trial(
            trial_id="t1",
            arm="mode=chunked runtime=oss",
            swept={"mode": "chunked", "runtime": "oss"},
            block=0,
            seed=1,
            started="2026-01-01T00:00:00+00:00",
            status="finished",
            error=None,
            valid=True,
            rules=[],
            metrics={"latency_mean_s": 2.0, "requests": 3},
            phases_s={"prepare": 1.0},
            config=asdict(config()),
            config_fingerprint="cf",
            environment={"cores": 2, "packages": {"ray": "2.60.0"}},
            clip=clip(),
            observed=observed(),
        ),
        **changes,
    )
