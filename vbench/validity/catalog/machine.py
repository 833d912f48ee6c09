"""Rules on the machines: nothing else used them, nothing stalled, and memory was sufficient."""

from vbench.validity.definition import RuleDefinition

NO_FOREIGN_CPU = RuleDefinition(
    name="nothing else used the CPU",
    meaning="Other programs used at most ``load.max_foreign_cpu_percent`` of the CPU of any machine.",
    remedy="stop other programs and run the trial again",
)
NO_FOREIGN_GPU = RuleDefinition(
    name="nothing else used the GPUs",
    meaning="Other programs used at most ``load.max_foreign_gpu_percent`` of any GPU.",
    remedy="stop what else computes on the GPU (nvidia-smi lists it) and run the trial again",
)
HARNESS_IS_CHEAP = RuleDefinition(
    name="harness and Ray left the CPUs to the service",
    meaning=(
        "The CPU time of each role that does no work on requests is below a limit: harness, load process,"
        " raylets, control store, proxy, controller, agents and idle workers."
    ),
    remedy="find what runs in that process (py-spy top; a sitecustomize, a plugin, a debugger) and stop it",
)
CPUS_AS_CONFIGURED = RuleDefinition(
    name="the trial had the configured CPUs",
    meaning=(
        "No affinity, quota or priority took CPUs from the trial's processes, and no ``LD_PRELOAD``,"
        " ``LD_AUDIT`` or debugging variable of Python changed them."
    ),
    remedy=(
        "remove the limit or the variable that is named (taskset, renice, a container's quota), or configure"
        " fewer CPUs with cluster.nodes.NAME.cpus"
    ),
)
NOTHING_STALLED = RuleDefinition(
    name="nothing stalled",
    meaning=(
        "The client, the harness, every node's agent and every sampler woke in time: no gap exceeded"
        " ``load.max_stall_ms`` or ``load.max_stall_percent`` of the measured time, whichever is longer."
    ),
    remedy=(
        "find what stopped it (a signal, a debugger, a suspended machine, swapped memory), or use a machine"
        " with more cores; load.max_stall_ms and load.max_stall_percent are the limits"
    ),
)
SPEED_KEPT = RuleDefinition(
    name="the machine kept its speed",
    meaning=(
        "The speed of the same work of one second, before and after the trial, differs by at most"
        " ``load.max_speed_change_percent``."
    ),
    remedy=(
        "find what slows the machine (temperature, power plan, a quota, other virtual machines) and run the"
        " trial again; load.max_speed_change_percent is the limit"
    ),
)
NOTHING_SPILLED = RuleDefinition(
    name="nothing was spilled to disk",
    meaning="Ray's object stores were large enough.",
    remedy="raise cluster.nodes.*.object_store_mb, or lower load.concurrency or pipeline.window",
)
NO_OOM_KILL = RuleDefinition(
    name="no process was killed for lack of memory",
    meaning="The kernel's out-of-memory killer killed nothing while requests were measured.",
    remedy="lower load.concurrency, pipeline.window or the object store, or use a machine with more memory",
)
CLOCKS_AGREE = RuleDefinition(
    name="the nodes' clocks agree",
    meaning="The clocks of an attached cluster's nodes differ by at most 20 ms.",
    remedy="synchronise the nodes' clocks (chrony, NTP): spans begin on one node and end on another",
)
