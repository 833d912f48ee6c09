"""Rules on the service: only this trial's graph answered, as configured, and it did all work."""

from vbench.validity.definition import RuleDefinition

NOT_AS_CONFIGURED = "do not use the numbers: the service did not run as configured; see load.log and ray.log"

OWN_DEPLOYMENT = RuleDefinition(
    name="this trial's deployment answered",
    meaning=(
        "Each replica that worked on a request repeats an identity that only this trial's graph was given."
    ),
    remedy="another service answered: run one trial at a time, or use cluster.http_port=0",
)
OWN_PROXY = RuleDefinition(
    name="only this trial's proxy took connections",
    meaning="In every sample, the trial's own proxy listened on its port, and no other process did.",
    remedy="use cluster.http_port=0, with which the kernel chooses a port, and stop what shares it",
)
OWN_REPLICAS = RuleDefinition(
    name="all work was done by this trial's replicas",
    meaning=(
        "Each span comes from a replica that Serve placed, on the node where Serve placed it, and no replica"
        " came or went."
    ),
    remedy="look for failed replicas in load.log and ray.log; stop other services on this port",
)
SETTINGS = RuleDefinition(
    name="the service ran with the configured settings",
    meaning=(
        "The settings in each response, the reports of all replicas and the detector's fingerprint are as"
        " configured."
    ),
    remedy=NOT_AS_CONFIGURED,
)
REPLICAS = RuleDefinition(
    name="the configured replicas ran",
    meaning=(
        "Each deployment had its configured number of replicas, on nodes with the resources that they need."
    ),
    remedy=NOT_AS_CONFIGURED,
)
BATCHES = RuleDefinition(
    name="batches were of the configured size",
    meaning=(
        "The network's forward passes, which hooks count, fit ``model.batch_size`` and contain each frame"
        " once."
    ),
    remedy=NOT_AS_CONFIGURED,
)
ALL_WORKED = RuleDefinition(
    name="every replica worked",
    meaning="If a deployment had at least 12 calls per replica, each of its replicas had at least one.",
    remedy="do not use the numbers: other replicas did its work; see load.log and ray.log",
)
ALL_WARM = RuleDefinition(
    name="every replica was warm",
    meaning="Each replica had work in the warm-up; for an application, each that handled measured requests.",
    remedy="raise load.warmup, or set load.warmup=0 to include cold replicas",
)
COMPUTED_AGAIN = RuleDefinition(
    name="each request was computed again",
    meaning=(
        "The compute time and CPU time per frame of each request, chunk and forward pass are above floors"
        " that were measured before the trial and in the warm-up. Looking up a stored result would be faster."
    ),
    remedy=(
        "do not use the numbers: find what answers from memory instead of decoding and inferring, and switch"
        " it off"
    ),
)
