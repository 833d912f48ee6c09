"""Small records to test on."""

import copy
import functools
from dataclasses import asdict, replace
from typing import Any

from vbench.config.schema import Config
from vbench.record.clip import Clip, ReferenceChecks
from vbench.record.load_report import LoadReport, NodeRuntime
from vbench.record.network import Link, LinkCheck, LinkSample, Network
from vbench.record.requests import Request, SpanLine
from vbench.record.samples import CpuBounds, MachineSample, NodeSample
from vbench.record.trial import Trial
from vbench.run.compose import compose_configs


def config(*overrides: str) -> Config:
    """A configuration of the test's own; Hydra takes half a second to compose one, so it does so once."""
    return copy.deepcopy(_composed(*overrides))


@functools.cache
def _composed(*overrides: str) -> Config:
    return compose_configs(overrides, multirun=False)[0]


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


def machine(at_s: float, **changes: Any) -> MachineSample:
    return replace(
        MachineSample(
            machine="host",
            at_s=at_s,
            unix_s=1.7e9 + at_s,
            # Two cores, idle for 20%; programs use 80%, and others than the trial 1%.
            cpu_all_s=2 * at_s,
            cpu_idle_s=0.4 * at_s,
            cpu_busy_s=1.6 * at_s,
            cpu_trial_s=1.56 * at_s,
            cpu_kernel_s=0.02 * at_s,
            cpu_stolen_s=0.0,
            foreign_process="sshd",
            memory_used_mb=3000.0,
            memory_available_mb=20000.0,
            cpu_by_role_s={"harness": 0.02 * at_s, "load process": 0.03 * at_s, "raylets": 0.05 * at_s},
            bounds=bounds(),
        ),
        **changes,
    )


def bounds(**changes: Any) -> CpuBounds:
    """Of processes that may use both cores and that nobody touched."""
    return replace(
        CpuBounds(
            least_cpus=2,
            least_cpus_of="harness (process 1)",
            quota_cpus=None,
            quota_cpus_of=None,
            throttled_s=0.0,
        ),
        **changes,
    )


def sample(at_s: float, **changes: Any) -> NodeSample:
    return replace(
        NodeSample(
            node="head",
            at_s=at_s,
            cpu_s=at_s,
            memory_mb=1000.0,
            nic_sent_bytes=0,
            nic_received_bytes=0,
            link=None,
            connections={},
            object_store_used_mb=10.0,
            spilled_mb=0.0,
            fallback_mb=0.0,
        ),
        **changes,
    )


def queues(**changes: int) -> LinkSample:
    still = LinkSample(
        out_backlog_bytes=0, out_waits=0, out_dropped=0, in_backlog_bytes=0, in_waits=0, in_dropped=0
    )
    return replace(still, **changes)


def network(*nodes: str, nic_mbps: float = 80.0, **changes: Any) -> Network:
    """80 Mbit/s are 10 MB a second."""
    return replace(
        Network(
            scale=100.0,
            congestion_control="cubic",
            links=[Link(node=node, nic_mbps=nic_mbps, flow_mbps=nic_mbps / 4) for node in nodes],
            checks=[
                LinkCheck(
                    sender=nodes[0], receiver=nodes[-1], flows=1, expected_mbps=20.0, measured_mbps=19.0
                )
            ],
        ),
        **changes,
    )


def load_report(**changes: Any) -> LoadReport:
    return replace(
        LoadReport(
            ray_version="2.60.0",
            ray_commit="abc",
            phases_s={"deploy": 9.0, "warm_up": 2.0, "measure": 5.0},
            flags_requested={},
            flags_found=[NodeRuntime(node="head", raylet_pid=1, flags={})],
            placement={"VideoDecoder": {"head": 1}},
            connections=[],
            oom_kills=0,
            unsent_requests=0,
        ),
        **changes,
    )


def span(
    stage: str, kind: str, seconds: float = 0.1, nbytes: int = 0, request: int = 0, **changes: Any
) -> SpanLine:
    return replace(
        SpanLine(
            request=request,
            stage=stage,
            kind=kind,
            chunk=0,
            node="n",
            replica="r",
            start_s=1.7e9,
            end_s=1.7e9 + seconds,
            bytes=nbytes,
        ),
        **changes,
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


def checks(**changes: Any) -> ReferenceChecks:
    """Of an honest reference pass of ``clip``."""
    return replace(
        ReferenceChecks(
            video="f",
            plain_frames=4,
            plain_objects=40,
            plain_wrong=0,
            plain_first="",
            frames_moved=3,
            frames_repeated=0,
            pictures=2,
            likeness=0.99,
            detail=7.0,
            detail_lost=0.03,
            levels_share=0.99,
        ),
        **changes,
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
            network=None,
            load_report=load_report(),
        ),
        **changes,
    )
