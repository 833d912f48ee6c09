"""The errors of reading a video."""


class VideoError(ValueError):
    """The video cannot be read; the message says why and what to do.

    Pickles with its message, so that it can cross process and Ray boundaries.
    """


class VideoTooLargeError(VideoError):
    """The video exceeds a limit on duration, packets, pixels, bytes or memory."""


class VideoTimeoutError(VideoError):
    """Fetching or decoding the video took longer than allowed."""


class VideoBusyError(VideoError):
    """There is no room for the video now because of others; there may be later."""


class VideoUnreachableError(VideoError):
    """The video's source is down or breaks off; it may be available later."""


class DecoderKilledError(RuntimeError):
    """FFmpeg was killed from outside, most likely for lack of memory; the video may be fine."""


class StoppedError(RuntimeError):
    """The work was cancelled, since nobody waits for the result any more."""


class ToolMissingError(RuntimeError):
    """FFmpeg was not found or does not work; the message says how to get one."""
