"""Rules on the record: it has all facts, and they fit together."""

from vbench.validity.definition import RuleDefinition

FINISHED = RuleDefinition(
    name="finished",
    meaning="The trial ran to its end.",
    remedy="see the error, and load.log in the record's folder",
)
COMPLETE = RuleDefinition(
    name="the record is complete",
    meaning="The record has every fact that a rule needs, so a missing fact never counts as correct.",
    remedy="run the trial again with this version; if facts are missing again, report it",
)
JUDGEABLE = RuleDefinition(
    name="the record can be judged",
    meaning="Every rule could be applied. This rule appears only if it is broken.",
    remedy="do not use the numbers: the record is damaged or a rule is wrong; report it",
)
CONSISTENT = RuleDefinition(
    name="the record is consistent",
    meaning=(
        "Requests for the same video have the same frames, and each chunk has the same bytes in every"
        " request. Video, length, number of frames and detector are those of the trial."
    ),
    remedy="lines were changed, or the service was given other requests than the trial's: report it",
)
SPANS_FIT = RuleDefinition(
    name="the spans are those of the requests",
    meaning=(
        "Each span lies within its request, each chunk has each of its spans once and in order, and the"
        " bytes of the spans add up to those of the frames. The spans also show the configured mode, handoff,"
        " chunk length and overlap, and at most ``pipeline.window`` chunks in flight per request."
    ),
    remedy="do not use stage times or bottlenecks: spans were added, copied or lost",
)
NOT_OVERBUSY = RuleDefinition(
    name="nothing was busy for longer than the measured time",
    meaning="The recorded work of decoders, models and links fits into the measured time.",
    remedy="do not use the numbers: work was not done, or not in the measured time",
)
SAME_MEASURED_TIME = RuleDefinition(
    name="other processes saw the same measured time",
    meaning=(
        "The harness's own samples of the machine cover the time that the requests took, within 0.5 s or 3%."
        " The phase in which requests were measured lasted at most 5 s or 5% longer."
    ),
    remedy="do not use the numbers: times were changed, or requests were skipped or measured twice",
)
