"""The video of each request: the clip's variants in turn, in an order that depends on the seed."""

import random
from dataclasses import dataclass

from vbench.load.reference import Reference, read_reference
from vbench.record.clip import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video, and the correct response to it."""

    name: str
    """Its name in the record: the digest of its bytes."""
    asked: str
    """What a request names: a path on the service's node, or an address."""
    reference: Reference


class Videos:
    """The clip and its variants: the same frames, each beginning at another keyframe."""

    def __init__(self, clip: Clip, seed: int) -> None:
        """Reads the reference passes."""
        videos = [
            Video(
                name=clip.fingerprint,
                asked=clip.address or clip.path,
                reference=read_reference(clip.reference),
            )
        ]
        videos += [
            Video(name=one["fingerprint"], asked=one["path"], reference=read_reference(one["reference"]))
            for one in clip.variants
        ]
        self._ordered = random.Random(seed).sample(videos, len(videos))

    def of(self, index: int) -> Video:
        """The video of request ``index``; consecutive requests have different ones, if there are several."""
        return self._ordered[index % len(self._ordered)]
