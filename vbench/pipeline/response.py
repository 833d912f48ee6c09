"""Assembles the response to a request from the replies of the stages, and checks that it is complete."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vbench.pipeline.api_schema import (
    Answer,
    ChunkAnswer,
    Counts,
    Detection,
    FrameAnswer,
    SettingsAnswer,
    VideoAnswer,
)
from vbench.pipeline.chunk_source import ChunkSpan
from vbench.pipeline.errors import IncompleteError
from vbench.pipeline.frame_size import frame_geometry
from vbench.pipeline.messages import ChunkFindings, InferenceReply
from vbench.pipeline.replica import CallReport, by_replica
from vbench.pipeline.request_settings import RequestSettings
from vbench.pipeline.spans import Span
from vbench.video.digest import combine
from vbench.video.fetch.download import LocalVideo
from vbench.video.types import FrameGeometry, VideoInfo


def assemble(  # noqa: PLR0913 - a response has all these parts
    *,
    job: RequestSettings,
    info: VideoInfo,
    local: LocalVideo,
    chunks: Sequence[ChunkSpan],
    replies: Sequence[InferenceReply],
    spans: Sequence[Span],
    reports: Sequence[CallReport],
    received_s: float,
    finished_s: float,
) -> bytes:
    """The response as JSON, see ``Answer``.

    Raises IncompleteError unless it holds each chunk's target frames exactly once, in order. Chunks are
    written one by one: objects for all detections of an hour would take ten times the bytes of the JSON.
    """
    names, fingerprint = _model(replies)
    findings = _findings_by_chunk(chunks, replies)
    written: list[bytes] = []
    digests: list[str] = []
    by_class: Counter[str] = Counter()
    for chunk in chunks:
        answered = _chunk(chunk, findings.get(chunk.index), info, names)
        digests += [frame.digest for frame in answered.frames]
        by_class.update(detection.class_name for frame in answered.frames for detection in frame.detections)
        written += [b"," if written else b"", answered.model_dump_json().encode()]
    every_span = [*spans, *(span for reply in replies for span in reply.spans)]
    rest = Answer.trusted(
        video=_video(info, local),
        settings=_settings(job, frame_geometry(job.args, info), fingerprint),
        counts=Counts.trusted(
            chunks=len(chunks),
            frames=len(digests),
            detections=by_class.total(),
            by_class=dict(sorted(by_class.items())),
            frame_bytes=sum(finding.frame_bytes for finding in findings.values()),
        ),
        digest=combine(digests),
        chunks=[],
        spans=sorted(every_span, key=lambda span: span.start_s),
        replicas=by_replica([*reports, *(report for reply in replies for report in reply.reports)]),
        received_s=received_s,
        finished_s=finished_s,
    )
    head = rest.model_dump_json(exclude={"chunks"}).encode().removesuffix(b"}")
    return b"".join([head, b',"chunks":[', *written, b"]}"])


def _model(replies: Sequence[InferenceReply]) -> tuple[tuple[str, ...], str]:
    models = {(reply.class_names, reply.fingerprint) for reply in replies}
    if len(models) != 1:
        fingerprints = sorted(fingerprint for _, fingerprint in models)
        raise IncompleteError(
            f"the frames of one request must be processed by one model, not by {fingerprints}"
        )
    return models.pop()


def _findings_by_chunk(
    chunks: Sequence[ChunkSpan], replies: Sequence[InferenceReply]
) -> dict[int, ChunkFindings]:
    findings: dict[int, ChunkFindings] = {}
    for finding in (finding for reply in replies for finding in reply.findings):
        if finding.chunk in findings:
            raise IncompleteError(f"chunk {finding.chunk} came back from the model twice")
        findings[finding.chunk] = finding
    surplus = findings.keys() - {chunk.index for chunk in chunks}
    if surplus:
        raise IncompleteError(f"the model returned chunks {sorted(surplus)}, which do not exist")
    return findings


def _chunk(
    chunk: ChunkSpan, findings: ChunkFindings | None, info: VideoInfo, names: tuple[str, ...]
) -> ChunkAnswer:
    arrived = findings.pts if findings else np.empty(0, np.int64)
    if not np.array_equal(arrived, chunk.targets):
        raise IncompleteError(
            f"chunk {chunk.index} should have {len(chunk.targets)} frames; the model returned {len(arrived)}"
            f", of which {len(np.intersect1d(arrived, chunk.targets))} were requested"
        )
    return ChunkAnswer.trusted(
        index=chunk.index,
        start_s=chunk.start_s,
        end_s=chunk.end_s,
        frames=_frames(findings, info, names) if findings else [],
    )


def _frames(findings: ChunkFindings, info: VideoInfo, names: tuple[str, ...]) -> list[FrameAnswer]:
    lengths = {len(findings.pts), len(findings.digests), len(findings.counts)}
    detections = {
        int(findings.counts.sum()),
        len(findings.classes),
        len(findings.scores),
        len(findings.boxes),
    }
    if len(lengths) != 1 or len(detections) != 1:
        raise IncompleteError(f"the findings of chunk {findings.chunk} do not match its frames")
    detections_left = iter(
        zip(findings.classes.tolist(), findings.scores.tolist(), findings.boxes.tolist(), strict=True)
    )
    frames = []
    for pts, digest, count in zip(
        findings.pts.tolist(), findings.digests, findings.counts.tolist(), strict=True
    ):
        objects = [next(detections_left) for _ in range(count)]
        frames.append(
            FrameAnswer.trusted(
                pts=pts,
                time_s=info.time_s(pts),
                digest=digest,
                detections=[
                    Detection.trusted(class_name=names[index], score=score, box=box)
                    for index, score, box in objects
                ],
            )
        )
    return frames


def _video(info: VideoInfo, local: LocalVideo) -> VideoAnswer:
    return VideoAnswer.trusted(
        path=local.display_name,
        container=info.container,
        codec=info.codec,
        width=info.width,
        height=info.height,
        rotation=info.rotation,
        time_base=str(info.time_base),
        duration_s=info.duration_s,
        frames=info.frames,
        size_bytes=info.size_bytes,
        checksum=local.checksum,
    )


def _settings(job: RequestSettings, geometry: FrameGeometry, fingerprint: str) -> SettingsAnswer:
    return SettingsAnswer.trusted(
        mode=job.mode,
        fps=str(job.fps),
        chunk_s=str(job.chunk_s),
        handoff=job.args.handoff,
        frame_size=job.args.frame_size,
        frame_width=geometry.width,
        frame_height=geometry.height,
        pixel_format=geometry.pixel_format,
        keyframes_only=job.args.keyframes_only,
        prune=job.args.prune,
        overlap=job.args.overlap,
        window=job.args.window,
        chunk_mb=job.args.chunk_mb,
        model=job.args.model.name,
        model_fingerprint=fingerprint,
    )
