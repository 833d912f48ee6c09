"""Calls of Serve's deployments: what Serve traces of each is kept in its process until it is fetched.

Serve's histograms of the same times would not do. A replica reports counts per bucket, and Ray's metrics
agent makes the sum of a histogram from the middles of its buckets.
"""

from __future__ import annotations  # the harness names this module, and does without OpenTelemetry

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

EXPORTER_VARIABLE = "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH"
"""Environment variable of a node: ``MODULE:FUNCTION``, which returns what processes Serve's spans."""

SHARE_VARIABLE = "RAY_SERVE_TRACING_SAMPLING_RATIO"
"""Environment variable of a node: the share of requests that Serve traces."""

HANDLED = "replica_handle_request"
ROUTED = "route_to_replica"
"""Starts of the names of Serve's spans: a call in a replica, and its way there in the caller's process."""


@dataclass(frozen=True, slots=True)
class CallSpan:
    """One span as Serve's process saw it. Times are Unix nanoseconds of its node."""

    is_routing: bool
    """Whether it is the choice of a replica for a call, or the call itself."""
    trace: int
    """The same for all spans of a request."""
    span: int
    parent: int | None
    """For a call, its routing; for a routing, the call that made it. None if Serve traced none."""
    start_ns: int
    end_ns: int


SPANS: list[CallSpan] = []
"""Of this process, as far as they have ended and were not fetched."""


def environment() -> dict[str, str]:
    """What nodes need in their environment so that Serve's processes on them keep their spans."""
    return {EXPORTER_VARIABLE: f"{__name__}:{exporter.__name__}", SHARE_VARIABLE: "1"}


def exporter() -> list[SpanProcessor]:
    """For Serve, which calls it once in each of its processes."""
    from opentelemetry.sdk.trace import SpanProcessor

    class KeepsSpans(SpanProcessor):
        """Serve renames its spans, and not always the right one: their first name counts."""

        def __init__(self) -> None:
            self._is_routing: dict[int, bool] = {}

        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            if span.name.startswith((HANDLED, ROUTED)):
                self._is_routing[span.get_span_context().span_id] = span.name.startswith(ROUTED)

        def on_end(self, span: ReadableSpan) -> None:
            context = span.get_span_context()
            is_routing = self._is_routing.pop(context.span_id, None) if context else None
            if context is None or is_routing is None or span.start_time is None or span.end_time is None:
                return
            parent = span.parent.span_id if span.parent else None
            SPANS.append(
                CallSpan(
                    is_routing, context.trace_id, context.span_id, parent, span.start_time, span.end_time
                )
            )

    return [KeepsSpans()]


def take() -> list[CallSpan]:
    """The spans that have ended in this process since it was last asked."""
    taken = SPANS[:]
    del SPANS[: len(taken)]
    return taken


def request_spans(actor: Any) -> Any:
    """Ask one of Serve's actors for its new spans: a reference, for ``ray.get``; None if it keeps none."""
    module = __name__

    # Nested, so that it travels by value: the actor may lack this package.
    def spans(_: Any) -> list[CallSpan] | None:
        import sys

        kept: Any = sys.modules.get(module)
        return None if kept is None else kept.take()

    return actor.__ray_call__.remote(spans)
