"""The index of a video: its packets, when frames are presented, and where decoding can start."""
