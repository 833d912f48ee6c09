"""The memory that the frames of a request take while it runs."""

from dataclasses import dataclass

from vbench.pipeline.request_settings import RequestSettings
from vbench.video.errors import VideoTooLargeError
from vbench.video.reader.pool import SplitVideo
from vbench.video.split import Splitter
from vbench.video.types import FrameGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Object store memory that one request takes at most at a time."""

    nbytes: int
    arithmetic: str
    """How it comes about: ``36 frames x 640 x 360 x 3 bytes``."""

    def check(self, capacity_bytes: int) -> None:
        """VideoTooLargeError, with the arithmetic, for more than ``capacity_bytes``."""
        if self.nbytes > capacity_bytes:
            raise VideoTooLargeError(
                f"the frames of this request do not fit: {self.arithmetic} = {self.nbytes / 1e6:.1f} MB, "
                f"of a budget of {capacity_bytes / 1e6:.1f} MB; ask for fewer frames/s, for shorter chunks "
                "in chunked mode, or give the nodes larger object stores (or the service a larger "
                "frames_budget_mb)"
            )


def footprint(job: RequestSettings, splitter: Splitter | SplitVideo, geometry: FrameGeometry) -> Footprint:
    """What the request holds, relayed frames twice: as they came to the service and as they leave it."""
    frames, which = job.frames_held(splitter)
    per_pixel = geometry.frame_bytes / (geometry.width * geometry.height)
    arithmetic = f"{frames} frames{which} x {geometry.width} x {geometry.height} x {per_pixel:g} bytes"
    copies = 2 if job.args.handoff == "relay" else 1
    if copies == 2:
        arithmetic += " x 2 copies in the service's object store (handoff: relay)"
    return Footprint(nbytes=frames * geometry.frame_bytes * copies, arithmetic=arithmetic)


def check_packets(splitter: SplitVideo, capacity_bytes: int) -> None:
    """VideoTooLargeError for a chunk with more bytes of packets than ``capacity_bytes``."""
    largest = max(splitter.coded_bytes, default=0)
    if largest > capacity_bytes:
        chunk = splitter.coded_bytes.index(largest)
        raise VideoTooLargeError(
            f"chunk {chunk} of this request does not fit: {largest / 1e6:.1f} MB of coded pictures, of a "
            f"budget of {capacity_bytes / 1e6:.1f} MB; ask for shorter chunks (chunk_s), or give the service "
            "a larger packets_budget_mb"
        )
