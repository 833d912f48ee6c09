"""VideoDecoder: turns chunks into frames with FFmpeg, as many at a time as its CPUs allow."""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.messages import ChunkMessage, FramesMessage
from vbench.pipeline.replica import Reporter, merge_settings
from vbench.pipeline.reports import CallWork
from vbench.pipeline.spans import SpanRecorder
from vbench.video.ffmpeg.arguments import decode_settings
from vbench.video.ffmpeg.executable import require_hwaccel
from vbench.video.ffmpeg.process import FFmpegRun
from vbench.video.frames import decode_chunk


class VideoDecoder:
    """Decodes chunks. A pool of threads, one for each decode at a time, is the queue: waiting in it
    is timed, and ends when the request is cancelled. A decode that runs then is stopped."""

    def __init__(self, args: PipelineArgs) -> None:
        if args.hwaccel:
            require_hwaccel(args.hwaccel)
        self._args = args
        self._reporter = Reporter(
            args.deployment_id,
            {"threads": args.ffmpeg_threads, "hwaccel": args.hwaccel, "at_once": args.decodes_at_once},
        )
        self._slots = ThreadPoolExecutor(args.decodes_at_once, thread_name_prefix="decode")

    async def decode(self, message: ChunkMessage) -> FramesMessage:
        """The chunk's frames; VideoError where it is damaged or takes longer than ``decode_timeout_s``."""
        stop = threading.Event()
        number = self._reporter.next_number()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._slots, self._decode, message, number, stop)
        finally:
            stop.set()

    async def ping(self) -> None:
        """Return at once: this replica answers."""

    def _decode(self, message: ChunkMessage, number: int, stop: threading.Event) -> FramesMessage:
        chunk, arrived_s, start_s = message.chunk, message.arrival_s, time.time()
        runs: list[FFmpegRun] = []
        frames = decode_chunk(
            chunk,
            message.geometry,
            threads=self._args.ffmpeg_threads,
            timeout_s=self._args.decode_timeout_s,
            hwaccel=self._args.hwaccel,
            stop=stop,
            ended=runs.append,
        )
        end_s = time.time()
        recorder = SpanRecorder(self._reporter.replica)
        nbytes = chunk.payload.nbytes + chunk.sampled_pts.nbytes
        recorder.add("decode", "transfer", chunk.index, message.sent_s, arrived_s, nbytes)
        recorder.add("decode", "queue", chunk.index, arrived_s, start_s)
        recorder.add("decode", "compute", chunk.index, start_s, end_s)
        return FramesMessage(
            chunk=chunk.index,
            frames=frames,
            spans=recorder.spans,
            decoded_s=end_s,
            report=self._reporter.report(
                number,
                frames=len(frames.pts),
                load_report=merge_settings([decode_settings(run.arguments) for run in runs]),
                work=CallWork(call=number, decoder_cpu_ms=_cpu_ms(runs)),
            ),
        )


def _cpu_ms(runs: Sequence[FFmpegRun]) -> float | None:
    """Of all runs together; None if there was none."""
    return 1000 * sum(run.cpu_s or 0.0 for run in runs) if runs else None
