"""The index of a video: when each picture is shown, where decoding can start."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vbench.video.errors import VideoError
from vbench.video.index.decoder_state import StateChanges
from vbench.video.sampling import sampled
from vbench.video.types import VideoInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What is known of each packet of the video stream, in decoding order."""

    stream: int
    """The stream's number in its container."""
    pts: npt.NDArray[np.int64]
    """int64[N]: ticks; ``NO_PTS`` where there is none."""
    sizes: npt.NDArray[np.int64]
    """int64[N]: bytes."""
    shown: npt.NDArray[np.bool_]
    """bool[N]: whether a player shows the picture."""
    clean: npt.NDArray[np.bool_]
    """bool[N]: whether decoding can start here: the picture and all that are shown after it are exact."""
    hidden: npt.NDArray[np.bool_]
    """bool[N]: whether no frame comes out of a decoder for it; it may have the pts of one that is shown."""
    needless: npt.NDArray[np.bool_]
    """bool[N]: packets that no decoder uses, since it can only start behind what they refer to, or since they
    hold no picture; ``state`` has the parameter sets in them."""
    unreferenced: npt.NDArray[np.bool_]
    """bool[N]: pictures from which no other is predicted, as far as that can be told."""
    resets: npt.NDArray[np.bool_]
    """bool[N]: pictures from which on, in decoding order, none is predicted from one before."""
    discarded: npt.NDArray[np.bool_]
    """bool[N]: pictures that are decoded and not shown, as the container's edit list says."""
    completed_at: npt.NDArray[np.int64]
    """int64[N]: the packet that completes what each packet begins: itself, or that of a second field."""
    orders: npt.NDArray[np.int64]
    """int64[N]: rises in the order in which decoders hand out pictures; ``NO_ORDER`` if that is not known."""
    joined: bool
    """Whether libavformat calls packets corrupt although only segments were joined before them."""
    runs: npt.NDArray[np.int32]
    """int32[N]: rises by one where an edit list jumps to another place in the file."""
    state: StateChanges
    """What a decoder that starts later has to be told of the packets before."""

    def shown_pts(self) -> npt.NDArray[np.int64]:
        """int64[M], rising: the pts of the frames that a player shows."""
        return np.sort(self.pts[self.shown])

    def targets(
        self, info: VideoInfo, fps: Fraction, *, keyframes_only: bool = False
    ) -> npt.NDArray[np.int64]:
        """int64[K], rising: the pts of the frames to hand out at ``fps`` frames a second.

        With ``keyframes_only`` the last keyframe up to each such frame stands for it, once for all for which
        it does: fewer frames, and others than asked for, which take no other picture to decode.

        Raises:
            VideoError: a wanted frame cannot be told by its pts, since another has the same.
        """
        wanted = sampled(self.shown_pts(), info.time_base, fps)
        if keyframes_only:
            wanted = self._keyframes_of(wanted)
        twice = self._ambiguous(wanted)
        if len(twice):
            raise VideoError(
                f"{info.path} has two pictures at the same time ({info.time_s(int(twice[0])):.3f} s), "
                "so neither can be asked for: encode it anew with increasing time stamps"
            )
        return wanted

    def _ambiguous(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of the pts ``wanted`` (int64[K], rising) at which no decoder says which picture comes first.

        Where two segments of an edit list share a pts, the picture of the first segment does.
        """
        decoded = ~(self.hidden | self.needless | self.discarded)
        pts, runs = self.pts[decoded], self.runs[decoded]
        order = np.lexsort((runs, pts))
        pts, runs = pts[order], runs[order]
        twice = pts[1:][(pts[1:] == pts[:-1]) & (runs[1:] == runs[:-1])]
        return np.intersect1d(wanted, twice)

    def _keyframes_of(self, wanted: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The last shown keyframe up to each frame, else the first; where none is shown, the frames."""
        keyframes = np.sort(self.pts[self.shown & self.clean])
        if len(keyframes) == 0:
            return wanted
        last = np.searchsorted(keyframes, wanted, "right") - 1
        return np.unique(keyframes[np.maximum(last, 0)])
