"""Bounds the headers of a request: HTTP 431 for more than any client needs."""

from collections.abc import Sequence

from vbench.pipeline.errors import HeadersTooLargeError

MOST_HEADERS = 256
MOST_HEADER_BYTES = 64 << 10
"""Of all names and values together."""


def check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """HeadersTooLargeError if a request has too many headers, or too long ones."""
    if len(headers) > MOST_HEADERS:
        raise HeadersTooLargeError(
            f"the request has {len(headers)} headers, and at most {MOST_HEADERS} are accepted: send only "
            "Content-Type and what your proxies need"
        )
    nbytes = sum(len(name) + len(value) for name, value in headers)
    if nbytes > MOST_HEADER_BYTES:
        raise HeadersTooLargeError(
            f"the headers of the request have {nbytes} bytes, and at most {MOST_HEADER_BYTES} are accepted: "
            "send only Content-Type and what your proxies need"
        )
