"""The packet index of a video: when frames are presented, and where decoding can start."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.decoder_state import StateChanges
from vbench.video.remedies import reencode_at_constant_rate
from vbench.video.sampling import sampled
from vbench.video.types import VideoInfo

NO_PTS = -(2**63)
"""PTS in the index of a packet without one (libavutil's AV_NOPTS_VALUE); no such packet is presented."""

UNKNOWN_ORDER = -(2**63)
"""``PacketIndex.output_order`` of a picture whose place in output order is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIndex:
    """What is known of each packet of the video stream, in decoding order (N packets)."""

    stream: int
    """Number of the video stream in its container."""
    pts: npt.NDArray[np.int64]
    """int64[N]: PTS in ticks of the stream's time base; ``NO_PTS`` if the packet has none."""
    sizes: npt.NDArray[np.int64]
    """int64[N]: bytes."""
    presented: npt.NDArray[np.bool_]
    """bool[N]: whether a player presents the picture."""
    random_access: npt.NDArray[np.bool_]
    """bool[N]: whether decoding can start here: this picture and all presented after it are exact."""
    hidden: npt.NDArray[np.bool_]
    """bool[N]: whether decoders output no frame for it; its PTS may be that of a presented frame."""
    undecodable: npt.NDArray[np.bool_]
    """bool[N]: packets that no decoder uses: they refer to pictures from before the first random access
    point, or contain no picture; ``state`` has their parameter sets."""
    unreferenced: npt.NDArray[np.bool_]
    """bool[N]: pictures that no other is predicted from, as far as the stream says."""
    resets: npt.NDArray[np.bool_]
    """bool[N]: pictures from which on, in decoding order, none is predicted from an earlier one."""
    discarded: npt.NDArray[np.bool_]
    """bool[N]: pictures that are decoded and not presented because of the container's edit list."""
    completed_at: npt.NDArray[np.int64]
    """int64[N]: index of the packet that completes the frame of each packet: itself, or its second
    field's."""
    output_order: npt.NDArray[np.int64]
    """int64[N]: increases in the order in which decoders output pictures; ``UNKNOWN_ORDER`` if unknown."""
    joined: bool
    """Whether libavformat flags packets as corrupt only because MPEG-TS segments were joined before them."""
    edit_segment: npt.NDArray[np.int32]
    """int32[N]: increases by one wherever an edit list jumps to another place in the file."""
    state: StateChanges
    """Parameter sets and other state that a decoder needs if it starts later."""

    def presented_pts(self) -> npt.NDArray[np.int64]:
        """int64[M], increasing: PTS of the presented frames."""
        return np.sort(self.pts[self.presented])

    def sampled_pts(
        self, info: VideoInfo, fps: Fraction, *, keyframes_only: bool = False
    ) -> npt.NDArray[np.int64]:
        """int64[K], increasing: PTS of the frames to output at ``fps`` frames per second.

        With ``keyframes_only``, the last keyframe at or before each such frame replaces it, once for all
        frames that it replaces. The result has fewer and other frames; decoding them takes no other picture.

        Raises:
            ValueError: ``fps`` is not above 0.
            VideoError: the PTS of a sampled frame is ambiguous, since another frame has the same.
        """
        wanted = sampled(self.presented_pts(), info.time_base, fps)
        if keyframes_only:
            wanted = self._keyframes_for(wanted)
        ambiguous = self._ambiguous(wanted)
        if len(ambiguous):
            raise VideoError(
                f"{info.path} has two frames with the same timestamp ({info.time_s(int(ambiguous[0])):.3f} "
                f"s); re-encode it with strictly increasing PTS: {reencode_at_constant_rate(info.path)}"
            )
        return wanted

    def _ambiguous(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of the PTS ``wanted`` (int64[K], increasing) that decoders output in an undefined order.

        If two segments of an edit list share a PTS, the first segment's picture is output first.
        """
        decoded = ~(self.hidden | self.undecodable | self.discarded)
        pts, segment = self.pts[decoded], self.edit_segment[decoded]
        order = np.lexsort((segment, pts))
        pts, segment = pts[order], segment[order]
        repeated = pts[1:][(pts[1:] == pts[:-1]) & (segment[1:] == segment[:-1])]
        return np.intersect1d(wanted, repeated)

    def _keyframes_for(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The last presented keyframe at or before each frame, else the first; the frames if there is
        none."""
        keyframes = np.sort(self.pts[self.presented & self.random_access])
        if len(keyframes) == 0:
            return wanted
        last = np.searchsorted(keyframes, wanted, "right") - 1
        return np.unique(keyframes[np.maximum(last, 0)])
