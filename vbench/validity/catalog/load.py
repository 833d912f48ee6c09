"""Rules on the load: the recorded requests are the configured closed loop, and no others were sent."""

from vbench.validity.definition import RuleDefinition

CLOSED_LOOP = RuleDefinition(
    name="the requests are those of one closed loop",
    meaning=(
        "Each request, apart from the first ones, was due at the time when another was answered. None is"
        " missing or recorded twice."
    ),
    remedy="do not use the numbers: requests were skipped, repeated or replaced, or times were changed",
)
AS_PLANNED = RuleDefinition(
    name="the requests are those of the planned arrivals",
    meaning=(
        "For open loads: each request was due when the rate, the seed and the block say, or the trace,"
        " however many were in flight. None is missing or recorded twice."
    ),
    remedy="do not use the numbers: requests were skipped, repeated or replaced, or times were changed",
)
IN_TURN = RuleDefinition(
    name="consecutive requests asked for different videos",
    meaning="If the trial has several copies of its clip, no two consecutive requests used the same one.",
    remedy="do not use the numbers: requests were skipped, repeated or replaced",
)
NO_OTHER_REQUESTS = RuleDefinition(
    name="the service had only the recorded requests",
    meaning=(
        "API replicas and Serve's proxy counted no HTTP requests other than those of the warm-up and the"
        " recorded ones."
    ),
    remedy="do not use the numbers: requests were retried, replaced or skipped, or there were other clients",
)
IN_FLIGHT = RuleDefinition(
    name="the configured number of requests was in flight",
    meaning=(
        "The largest number of requests in flight was ``load.concurrency``, by the client's times and by the"
        " service's."
    ),
    remedy=(
        "use a longer video or lower load.concurrency: requests must take longer than sending them, and the"
        " service must accept load.concurrency at once"
    ),
)
TIMES_AGREE = RuleDefinition(
    name="client and service agree on the times",
    meaning=(
        "The service received each request after it was sent, and finished it before the client had the"
        " response, within 20 ms plus the difference between the nodes' clocks."
    ),
    remedy="do not use the numbers: times were changed, or a clock was set while the trial ran",
)
CLIENT_ON_TIME = RuleDefinition(
    name="the client was on time",
    meaning="No request was sent more than ``load.max_late_ms`` after it was due.",
    remedy="lower load.concurrency, or use a machine with more cores; load.max_late_ms is the limit",
)
LATENCY_OF_SERVICE = RuleDefinition(
    name="the latency is the service's own",
    meaning=(
        "On average, at most 10% of the latency or 0.25 s passed outside the service, and requests were sent"
        " at most 2% of the latency or 20 ms late."
    ),
    remedy=(
        "the client waited before sending or reading, or the network is slow: run the client on a machine of"
        " its own, close to the service"
    ),
)
