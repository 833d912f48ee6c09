"""Rules on the responses: every request has one, and frames and detections are correct."""

from vbench.validity.definition import RuleDefinition

ANSWERED = RuleDefinition(
    name="every request was answered",
    meaning=(
        "No request failed, and as many were sent as configured. Failed requests are never left out of the"
        " mean."
    ),
    remedy="fix the cause that the error names; load.log in the record's folder has details",
)
SOME_ANSWERED = RuleDefinition(
    name="requests were answered",
    meaning=(
        "For open loads: at least one request did not fail, and none that was planned is missing. Those that"
        " failed count as such: they are no goodput, and with them there is no mean latency."
    ),
    remedy="fix the cause that the error names; load.log in the record's folder has details",
)
FRAMES_IDENTICAL = RuleDefinition(
    name="frames are identical to the reference pass",
    meaning=(
        "Each frame that reached the model has the timestamp and, bit for bit, the pixels that a single"
        " plain FFmpeg pass over the file gives."
    ),
    remedy="do not use the numbers: a decoder or a transfer changed the frames; report the clip",
)
OBJECTS_WHOLE = RuleDefinition(
    name="objects arrived whole",
    meaning="For ``load=transfer``: the bytes that arrived are those that were sent.",
    remedy="do not use the numbers: Ray or the network changed the objects; report it",
)
RESPONSES_CORRECT = RuleDefinition(
    name="responses are correct",
    meaning=(
        "For ``workload=app`` with ``app.check``: every response passes it. With ``digest`` and"
        " ``json:PATH``, all responses to the same request have the same bytes, or the same value."
    ),
    remedy=(
        "do not use the numbers: find out why the application answers differently, or check what is the same"
        " in every response, with app.check=json:PATH or MODULE:FUNCTION"
    ),
)
DETECTIONS_AGREE = RuleDefinition(
    name="detections agree with the reference pass",
    meaning=(
        "Each object has a counterpart of the same class, with an IoU of at least 0.99 and a score within"
        " 0.01."
    ),
    remedy="do not use the numbers; compare model.precision, model.device and versions",
)
FRAME_COUNT = RuleDefinition(
    name="the number of frames fits the video's length",
    meaning=(
        "A scene has exactly the expected number of frames. A file has the number that its container's"
        " timestamps give, within 2 frames or 5%."
    ),
    remedy="frames are lost or added in the service or in the reference pass: report the clip",
)
FRAME_SIZE = RuleDefinition(
    name="frames are as large as configured",
    meaning="The bytes per frame are those of ``pipeline.frame_size`` and ``pipeline.pixel_format``.",
    remedy="do not use the numbers: frames had another size than configured; report it",
)
OBJECTS_FOUND = RuleDefinition(
    name="the detector finds the scene's objects",
    meaning=(
        "On a scene, ``shapes`` reaches an mAP at IoU 0.5 of at least ``load.min_scene_map50`` against the"
        " ground truth."
    ),
    remedy=(
        "frames, boxes or classes are wrong: report it. If the scene is too hard, use larger pictures"
        " (video.scene.width, video.scene.height) or fewer objects, or lower load.min_scene_map50"
    ),
)
PLAIN_DETECTOR_AGREES = RuleDefinition(
    name="the detector agrees with a plain implementation",
    meaning=(
        "In some frames of the reference pass, a second implementation of ``shapes`` finds the same objects:"
        " 95% of them, within a tolerance that depends on the precision."
    ),
    remedy=(
        "do not use the numbers: the detector does not use the frames that it is given (fewer frames, a"
        " lower resolution, fewer grey levels), or model.precision is too coarse for this model; report it"
    ),
)
DETECTIONS_CHANGE = RuleDefinition(
    name="detections change when objects move",
    meaning="If objects moved between two frames, the detections of the two are never identical bit for bit.",
    remedy=(
        "do not use the numbers: the detector skips frames and repeats its last result; find the cause and"
        " switch it off"
    ),
)
SCENE_SHOWN = RuleDefinition(
    name="frames show the scene as it was rendered",
    meaning=(
        "Some frames of a scene are compared with the rendered pictures (likeness at least 0.75) and with"
        " those of a plain decoder: at most 25% of the finest detail is lost, and at least 65% of the grey"
        " levels are present."
    ),
    remedy=(
        "do not use the numbers. If the picture is a different one, the cached clip was replaced: delete"
        " cache/scenes and cache/reference in the outputs folder. Otherwise decoder or filters lose"
        " resolution or grey levels, in the service and in the reference pass: report it"
    ),
)
