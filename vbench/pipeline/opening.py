"""One request's video: fetched where it lies elsewhere, then open for splitting."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from vbench.pipeline.errors import VideoMissingError
from vbench.pipeline.job import Job
from vbench.video.errors import VideoError
from vbench.video.remote import Local, fetched, shown
from vbench.video.split import Splitter

E = TypeVar("E", bound=BaseException)


class Opening:
    """Opens the video that a request names, and knows by which name its user knows it."""

    def __init__(self, video: str, job: Job) -> None:
        self._video = video
        self._job = job
        self.local = Local(path=Path(), called=shown(video))
        """What was opened; without a path until ``splitter`` is entered."""
        self.fetch_start_s = 0.0
        self.fetch_end_s = 0.0
        """Unix seconds."""

    @contextmanager
    def splitter(self, stop: threading.Event) -> Iterator[Splitter]:
        """The video, open while the block runs; ``stop`` ends a fetch. Raises VideoError and its kinds."""
        args = self._job.args
        self.fetch_start_s = time.time()
        try:
            with fetched(
                self._video,
                limits=args.limits.limits(),
                timeout_s=args.fetch_timeout_s,
                allowed=args.sources,
                stop=stop,
            ) as self.local:
                self.fetch_end_s = time.time()
                with self._splitter() as splitter:
                    yield splitter
        except VideoError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise VideoMissingError(str(error)) from error
            raise

    def _splitter(self) -> Splitter:
        try:
            return self._job.splitter(self.local.path)
        except VideoError:
            raise
        except ValueError as error:  # fps or chunk_s that do not go with this video
            raise VideoError(str(error)) from error

    def named(self, error: E) -> E:
        """``error``, with the video called by its user's name where it says that of the fetched file."""
        path = str(self.local.path)
        if self.local.checksum is None or path not in str(error):
            return error
        return type(error)(str(error).replace(path, self.local.called))
