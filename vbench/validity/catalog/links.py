"""Rules on an emulated cluster's links: they had their rates, and they set the pace of transfers."""

from vbench.validity.definition import Remedy, RuleDefinition

BROKEN = "do not use the numbers: something changed the links (tc) or used them while the trial ran"

AS_CONFIGURED = RuleDefinition(
    name="the links are those of the configuration",
    meaning="Rates, scale and TCP congestion control are those of the configuration.",
    remedy="do not use the numbers: the network is not the configured one; report it",
)
EVENTS = RuleDefinition(
    name="the links changed as planned",
    meaning=(
        "Each of `cluster.events` took place while requests were measured, with the configured rates, and was"
        " in force within 1 s. Trials without events do not have this rule."
    ),
    remedy=(
        "run it again when the machine is less busy; if an event was not reached, give it an earlier at_s or"
        " send more requests (load.requests)"
    ),
)
RATES_BEFORE = RuleDefinition(
    name="the links had their rates before the trial",
    meaning=(
        "In test transfers, a single flow reaches its cap and as many flows as fill a NIC reach the NIC's"
        " rate, within 10%."
    ),
    remedy="stop other programs, or raise cluster.scale: this machine is too slow for links of this rate",
)
RATES_AFTER = RuleDefinition(
    name="the links had their rates after the trial",
    meaning="In test transfers after the trial, flows reach their rates within 25%.",
    remedy=BROKEN,
)
RATES_KEPT = RuleDefinition(
    name="the kernel kept the links' rates",
    meaning="In every sample, the kernel had the planned rates for every NIC and flow.",
    remedy=BROKEN,
)
FLOWS_CAPPED = RuleDefinition(
    name="no flow carried more than its cap",
    meaning="No TCP connection carried more than 110% of its cap over 2 s.",
    remedy=BROKEN,
)
NICS_CAPPED = RuleDefinition(
    name="no link carried more than its cap",
    meaning="No NIC carried more than 110% of its rate over 2 s.",
    remedy="do not use the numbers: the links were not shaped as configured; run vbench doctor",
)
NEAR_CAP = RuleDefinition(
    name="flows were near their cap while their queue was not empty",
    meaning="Of the times in which a flow waited for its own cap, the best tenth reached 60% of it.",
    remedy=BROKEN,
)
ALL_CONNECTIONS = RuleDefinition(
    name="all connections carried frames",
    meaning=(
        "Each connection of a sender carried at least a tenth of what its busiest connection carried. Not"
        " judged for an application, whose large and small objects may take turns."
    ),
    remedy="do not use the numbers: Ray did not use all its connections; see ray.log",
)
NOTHING_MOVED = Remedy(
    case="if nothing had to move between nodes",
    text="place decoder and model on nodes of their own (cluster.deployments.*.resources)",
)
ALL_ON_LINKS = RuleDefinition(
    name="all transfers went over the shaped links",
    meaning=(
        "The links counted at least the bytes that had to move between nodes; for an application, the bytes"
        " that the object managers sent over their connections."
    ),
    remedy="do not use the numbers: bytes took another route, or samples are missing",
    special_remedies=(NOTHING_MOVED,),
)
NOTHING_ELSE = RuleDefinition(
    name="nothing else used the links",
    meaning=(
        "No node sent or received more than these together: the bytes that had to move, Ray's repeats of"
        " pulls of more than 10 s (or of what the arm sets as Ray's pull timeout), 15% for headers, and Ray's"
        " background traffic. Not judged for an application, which may send anything."
    ),
    remedy="stop what else uses the cluster's links (another job, another driver) and run the trial again",
)
CPUS_DID_NOT_LIMIT = RuleDefinition(
    name="transfers did not wait for the machine's CPUs",
    meaning=(
        "While bytes moved, the mean CPU utilisation was at most ``load.max_machine_cpu_percent``, and at"
        " most half of the bytes moved at a utilisation of 95% or more."
    ),
    remedy=(
        "raise cluster.scale and shorten the video accordingly, use smaller pictures or fewer frames"
        " (video.scene, pipeline.fps), lower load.concurrency, or use a machine with more cores"
    ),
)
LINKS_SET_THE_PACE = RuleDefinition(
    name="transfers waited for the shaped links",
    meaning=(
        "At least half of the bytes moved while packets waited in a link's queue (after Mininet-HiFi,"
        " Handigol et al., CoNEXT 2012). Not judged for an application, which may need the links or not."
    ),
    remedy=(
        "something else sets the pace: make the links slower (raise cluster.scale), or send more at a time"
        " (load.concurrency, pipeline.frame_size=native)"
    ),
)
