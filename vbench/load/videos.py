"""Which video each request asks for: one after another of the clip's variants, in an order from the seed."""

import random
from dataclasses import dataclass

from vbench.load.reference import Reference, read_reference
from vbench.record.clip import Clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """One of them, and what a right answer to it holds."""

    name: str
    """As the record calls it: the digest of its bytes."""
    asked: str
    """What a request says: a path on the service's node, or an address."""
    reference: Reference


class Videos:
    """The clip and its variants: the same pictures, which begin at another keyframe each."""

    def __init__(self, clip: Clip, seed: int) -> None:
        """Reads the reference passes."""
        found = [
            Video(
                name=clip.fingerprint,
                asked=clip.address or clip.path,
                reference=read_reference(clip.reference),
            )
        ]
        found += [
            Video(name=one["fingerprint"], asked=one["path"], reference=read_reference(one["reference"]))
            for one in clip.variants
        ]
        self._ordered = random.Random(seed).sample(found, len(found))

    def of(self, index: int) -> Video:
        """The video of request ``index``; of two in a row each has its own, if there are two."""
        return self._ordered[index % len(self._ordered)]
