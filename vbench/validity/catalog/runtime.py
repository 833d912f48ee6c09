"""The rule on what is compared: Ray's runtime setting was in force."""

from vbench.validity.definition import Remedy, RuleDefinition

FLAGS_OF_ATTACHED = Remedy(
    case="on an attached cluster",
    text="start every node of the cluster again with these variables set",
)
NOTHING_MOVED = Remedy(
    case="if no frames moved between nodes",
    text="place decoder and model on nodes of their own (cluster.deployments.*.resources)",
)
TOO_LITTLE_MOVED = Remedy(
    case="if too few bytes moved to open all connections",
    text="raise load.warmup, or use a longer video or larger pictures",
)
TOO_FEW_OBJECTS = Remedy(
    case="if too few objects moved, for load=transfer",
    text="raise load.warmup, or use more objects",
)
WRONG_CONNECTIONS = Remedy(
    case="if the number of connections is wrong for another reason",
    text="do not use the numbers: the setting is not in force; see ray.log in the record's folder",
)
FLAGS_IN_FORCE = RuleDefinition(
    name="the runtime flags are in force",
    meaning=(
        "The environment of every raylet has the flags, and each pair of nodes between which frames moved"
        " had the number of connections that the setting gives. For an application, these are the pairs"
        " between which the object managers moved enough to open all connections; if there is none, the"
        " environment alone is the proof."
    ),
    remedy="do not use the numbers: something changed the environment in which vbench started Ray",
    special_remedies=(
        FLAGS_OF_ATTACHED,
        NOTHING_MOVED,
        TOO_LITTLE_MOVED,
        TOO_FEW_OBJECTS,
        WRONG_CONNECTIONS,
    ),
)
SETTINGS_IN_FORCE = RuleDefinition(
    name="every process has the runtime's variables",
    meaning=(
        "Each variable of ``runtime.env`` has its value in the environment of every process that reads it:"
        " the raylet of each node, the GCS server, Serve's controller and proxies, all replicas, and the"
        " driver. Serve's processes, and the actors of a transfer, report their environment themselves."
        " What else can be seen of a variable, such as the size of chunks, agrees with its value."
    ),
    remedy=(
        "do not use the numbers: something changed the environment of this process, as a runtime_env of the"
        " application can, or Ray did not act on the variable"
    ),
)
