"""What can be wrong with a video or with the tools that read it."""


class VideoError(ValueError):
    """The video cannot be used; the message says why, in one sentence a user can act on.

    Pickles with its message, so it can cross a process or a Ray boundary.
    """


class VideoTooLargeError(VideoError):
    """The video is sound, but passes a limit of duration, packets, pixels or memory."""


class VideoTimeoutError(VideoError):
    """Decoding took longer than it was allowed to."""


class VideoBusyError(VideoError):
    """There is no room for the video now, because of others: there may be later."""


class VideoUnreachableError(VideoError):
    """The video lies elsewhere, and what holds it is down or breaks off: it may be there later."""


class DecoderKilledError(RuntimeError):
    """FFmpeg was killed from outside, most likely for want of memory; says nothing of the video."""


class StoppedError(RuntimeError):
    """Nobody waits for the result any more, so the work on it was ended."""


class ToolMissingError(RuntimeError):
    """FFmpeg was not found; the message says how to get it."""
