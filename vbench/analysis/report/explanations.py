"""The paragraphs of a comparison's page that explain its tables."""

METHOD = """\
Improvement is how much lower the candidate's mean latency is, in percent of the baseline's. In each block,
every arm ran once, on the same clip and load. The 95% interval is a paired t interval over the logarithms of
candidate / baseline, one value per block, with n - 1 degrees of freedom; n is the number of blocks. ± is the
half-width of the 95% interval of an arm's own mean over blocks. docs/statistics.md explains the method and
its assumptions."""

UNPAIRED_METHOD = """\
Improvement is how much lower this sweep's mean latency is, in percent of the baseline's. The two sweeps ran
at different times, so trials are not paired. The 95% interval is Welch's t interval of the difference between
the mean logarithms of the trials' latencies; n is the number of trials of the sweep with fewer. ± is the
half-width of the 95% interval of each sweep's own mean. docs/baselines.md explains what this can show."""

BREAKDOWN = """\
Each moment of a request, from its due time to its response, counts once: for what was computed or transferred
for it at that moment (in equal parts if several things went on), or as waiting if nothing was. The parts sum
to the mean latency. Means over requests and trials, in s."""

STAGE_SUMS = """\
Stage time per request, summed over its concurrent chunks: these sums can exceed the latency. Means over
requests and trials, in s."""

BOTTLENECKS = """\
How long each resource was busy with all requests of a trial, at least: FFmpeg and the model at the rates they
had, over their replicas; bytes that had to move between nodes over the caps of connections and NICs; CPU
seconds over cores. The busiest resource is the bottleneck; its utilisation is busy / measured. Means over
trials."""

DEPLOYMENTS = """\
Time per call of a deployment of the application: until a replica began, which needs room and all arguments
(wait), in the replica (processing), and in the replica while none of the calls that it made was under way
(own). Means over calls and trials, in s. Busy is the share of the measured time in which a replica
worked on at least one call itself, mean over replicas."""

NIC_USE = """\
\\* Over the intervals between two samples in which the link carried traffic. An interval with traffic in a
part of it counts whole, so short transfers show less than the link gave them."""

TRANSFER_RATE = """\
These trials only moved objects from one node to another. The rate is that of the objects' own bytes while
they moved. The cap is min(connections x cap per connection, cap of the NIC), which includes headers. ± is the
half-width of the 95% interval over blocks."""

SECONDARY = """\
A trial starts with an empty service and ends with an idle one, which may affect the arms differently. So the
same comparison is made for each half of the requests (by index), for the requests that lie wholly within the
time in which all slots were busy, and for the makespan (from the first request's due time to the last
response). If these differ from the mean by more than their intervals, the mean depends on the number of
requests in a trial."""

BEYOND_MEAN = """\
The last column is how much larger an improvement is than that of the mean latency of all requests: the same
comparison of the time over the mean latency. If its interval excludes 0, they differ."""

QUANTILES = """\
The quantiles of each trial, compared like the mean latency: one value per trial, paired by block. A quantile
is shown only if each trial has enough requests for a 95% interval of it. That interval is from order
statistics. It assumes no distribution, but independent requests. Requests that are in flight together affect
each other, so it may be too narrow."""

STABILITY = """\
The interval assumes that blocks are independent and that the difference is constant. These lines show how
much depends on a single block, and whether the difference changes with the running order (permutation tests;
each is wrong 1 time in 20)."""

RECORDS = """\
`comparison.json` holds the id, code, machine, rules, metrics and file hashes of each trial, counted or
not."""

HARNESS = """\
Seconds per phase of a trial, from the cluster's start to its end. The last column is the harness's own share:
everything except the link check, the warm-up and the measured requests. Rendering the clip and the reference
pass, which are kept for later trials, are not included. Means over trials."""

NICS = """\
What each node sent and received, in one trial per arm, with the cap of its link if it has one."""
