"""What one request asks for, with what it leaves out taken from the service's arguments."""

import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from heapq import nlargest
from pathlib import Path
from typing import Any, Self

from vbench.pipeline.api_schema import ProcessRequest
from vbench.pipeline.config import PipelineArgs
from vbench.pipeline.frame_size import most_frames
from vbench.pipeline.settings import Mode
from vbench.video.exact_number import exact_number
from vbench.video.fetch.download import LocalVideo
from vbench.video.reader.pool import ReaderServer, SplitVideo
from vbench.video.split import Splitter
from vbench.video.types import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSettings:
    """One request, complete."""

    args: PipelineArgs
    mode: Mode
    fps: Fraction
    chunk_s: Fraction

    @classmethod
    def of(cls, request: ProcessRequest, args: PipelineArgs) -> Self:
        """The request, its gaps filled from ``args``."""
        return cls(
            args=args,
            mode=request.mode or args.mode,
            fps=args.fps_fraction if request.fps is None else exact_number(request.fps),
            chunk_s=args.chunk_fraction if request.chunk_s is None else exact_number(request.chunk_s),
        )

    def splitter(self, video: str | Path) -> Splitter:
        """Of ``video``, as this request asks. Raises what Splitter raises."""
        return Splitter(video, **self._options(), max_frames=self._most_frames)

    def splitting(
        self, video: LocalVideo, readers: ReaderServer, *, chunk_bytes: int, stop: threading.Event
    ) -> AbstractContextManager[SplitVideo]:
        """The same in a process of its own, which ends once ``stop`` is set; see ``ReaderServer.split``."""
        return readers.split(
            video.path,
            self._options(),
            display_name=video.display_name,
            max_frames=self._most_frames,
            chunk_bytes=chunk_bytes,
            stop=stop,
        )

    def _options(self) -> dict[str, Any]:
        return {
            "fps": self.fps,
            "chunk_s": self.chunk_s,
            "prune": self.args.prune,
            "keyframes_only": self.args.keyframes_only,
            "limits": self.args.limits.limits(),
        }

    def _most_frames(self, info: VideoInfo) -> int | None:
        return most_frames(self.args, info)

    @property
    def holds_all(self) -> bool:
        """Whether all frames of the video are decoded before the first is inferred."""
        return self.mode == "combined" or not self.args.overlap

    def frames_held(self, splitter: Splitter | SplitVideo) -> tuple[int, str]:
        """How many frames the request may hold at a time, and which these are, in words."""
        if self.holds_all:
            return len(splitter.sampled_pts), ""
        window = self.args.window
        held = sum(nlargest(window, (len(chunk.sampled_pts) for chunk in splitter.plan)))
        return held, "" if window >= splitter.chunk_count else f" in the {window} largest chunks (the window)"
