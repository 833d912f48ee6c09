"""One request's video: fetched if it is remote, then open for splitting."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from vbench.pipeline.errors import VideoMissingError
from vbench.pipeline.fetch_slots import FetchSlots
from vbench.pipeline.memory_budget import FramesBudget
from vbench.pipeline.request_settings import RequestSettings
from vbench.video.addresses import scheme_of
from vbench.video.errors import VideoError
from vbench.video.fetch.download import LocalVideo, fetch_video, redacted
from vbench.video.fetch.local_files import real_roots
from vbench.video.fetch.public_addresses import PrivateSources
from vbench.video.reader.pool import ReaderServer, SplitVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedReaders:
    """What the requests of a service replica share to open their videos."""

    fetches: FetchSlots
    readers: ReaderServer
    packets: FramesBudget
    """Bytes of coded pictures on their way to the decoders."""


class Opening:
    """Opens the video that a request names; every message uses the name that the client gave."""

    def __init__(self, video: str, job: RequestSettings, means: SharedReaders) -> None:
        self._video = video
        self._job = job
        self._means = means
        self.local = LocalVideo(path=Path(), display_name=redacted(video))
        """What was opened; without a path until ``splitter`` is entered."""
        self.fetch_start_s = 0.0
        self.fetch_end_s = 0.0
        """Unix seconds."""

    @contextmanager
    def splitter(self, stop: threading.Event) -> Iterator[SplitVideo]:
        """The video, open while the block runs; ``stop`` ends it. Raises VideoError and its kinds."""
        self.fetch_start_s = time.time()
        try:
            with ExitStack() as open_now:
                with self._slot(stop):
                    self.local = open_now.enter_context(self._fetched(stop))
                self.fetch_end_s = time.time()
                yield open_now.enter_context(
                    self._job.splitting(
                        self.local,
                        self._means.readers,
                        chunk_bytes=self._means.packets.capacity,
                        stop=stop,
                    )
                )
        except VideoError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise VideoMissingError(str(error)) from error
            raise

    def _slot(self, stop: threading.Event) -> AbstractContextManager[None]:
        """A slot for fetching, if the video is remote."""
        return nullcontext() if scheme_of(self._video) == "file" else self._means.fetches.slot(stop)

    def _fetched(self, stop: threading.Event) -> AbstractContextManager[LocalVideo]:
        args = self._job.args
        return fetch_video(
            self._video,
            limits=args.limits.limits(),
            timeout_s=args.fetch_timeout_s,
            allowed=args.sources,
            stop=stop,
            private=PrivateSources.of(args.private_sources),
            roots=real_roots(args.roots or ()),
        )
