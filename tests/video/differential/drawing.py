"""Draws clips: muxer x codec x GOP x timestamps x metadata, joins, starts in mid-GOP, damage."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.video.differential.recipes import Clip, Step

NOTHING = Step(tool="append", arguments="", suffix="mp4")
"""Stands for a clip that is made elsewhere."""

NOISE = "noise=alls=12:allf=t:all_seed=7"
SIZES = ("96x64", "64x48", "130x74")
RATES = ("12", "24", "24000/1001", "10")
X265 = "log-level=error:pools=1:frame-threads=1:info=0"

H264_CONTAINERS = ("mp4", "mov", "mkv", "ts")
CONTAINERS = {
    "h264": H264_CONTAINERS,
    "hevc": H264_CONTAINERS,
    "vp8": ("webm", "mkv"),
    "vp9": ("webm", "mkv", "mp4"),
    "av1": ("mp4", "webm", "mkv"),
}


def pick(draw: DrawFn, *choices: str) -> str:
    """One of these; the first is the plainest."""
    return draw(st.sampled_from(choices))


def _source(draw: DrawFn, size: str, kinds: set[str]) -> str:
    """FFmpeg's arguments for 1 to 3 s of a moving, textured picture, evenly timed or not."""
    rate, seconds = pick(draw, *RATES), pick(draw, "2", "1", "3", "0.5")
    uneven = pick(draw, "", "", "uneven", "gap", "late")
    filters = {
        "": "",
        "uneven": r",select='not(mod(n\,3))+lt(mod(n\,11)\,4)'",
        "gap": r",select='lt(t\,0.4)+gt(t\,1.2)'",
        "late": r",setpts='PTS+0.7/TB'",
    }[uneven]
    if uneven:
        kinds.add(f"{uneven} times")
    hue = pick(draw, "", ",hue=s=0.4", ",negate")
    return (
        f"-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds},{NOISE}{hue}{filters} -fps_mode vfr"
    )


def _h264(draw: DrawFn, kinds: set[str]) -> str:
    gop = pick(draw, "12", "6", "250", "1")
    b_frames = pick(draw, "2", "0", "3", "5")
    x264 = [f"keyint={gop}", "scenecut=0"]
    if pick(draw, "closed", "open") == "open":
        x264.append("open-gop=1")
        kinds.add("open GOP")
    extra = pick(
        draw,
        "",
        "",
        "cavlc",
        "intra refresh",
        "pyramid",
        "mbaff",
        "fake interlaced",
        "slices",
        "repeat",
        "weighted",
    )
    if extra:
        kinds.add(extra)
    x264 += {
        "": [],
        "cavlc": ["cabac=0", "8x8dct=0"],
        "intra refresh": ["intra-refresh=1", "bframes=0"],
        "pyramid": ["b-pyramid=normal", "bframes=5", "b-adapt=0"],
        "mbaff": [f"{pick(draw, 'tff', 'bff')}=1", f"cabac={pick(draw, '1', '0')}"],
        "fake interlaced": ["fake-interlaced=1"],
        "slices": ["slices=3"],
        "repeat": ["repeat-headers=1", "aud=1"],
        "weighted": ["weightp=2", "weightb=1"],
    }[extra]
    pixels = pick(draw, "yuv420p", "yuv420p", "yuv444p", "yuv422p", "yuvj420p", "yuv420p10le")
    quality = pick(draw, "28", "20", "40")
    preset = pick(draw, "ultrafast", "fast")
    return (
        f"-c:v libx264 -preset {preset} -threads 1 -qp {quality} -bf {b_frames} -pix_fmt {pixels} "
        f"-x264-params {':'.join(x264)}"
    )


def _hevc(draw: DrawFn, kinds: set[str]) -> str:
    gop = pick(draw, "12", "6", "250", "1")
    x265 = [X265, f"keyint={gop}", "scenecut=0", f"bframes={pick(draw, '3', '0', '2')}"]
    x265.append(f"open-gop={pick(draw, '1', '0')}")
    extra = pick(draw, "", "", "temporal layers", "field pictures", "repeat", "intra refresh", "pyramid")
    if extra:
        kinds.add(extra)
    x265 += {
        "": [],
        "temporal layers": ["temporal-layers=3", "b-adapt=0"],
        "field pictures": ["interlace=tff"],
        "repeat": ["repeat-headers=1", "aud=1"],
        "intra refresh": ["intra-refresh=1"],
        "pyramid": ["b-pyramid=1", "b-adapt=0"],
    }[extra]
    pixels = pick(draw, "yuv420p", "yuv420p10le", "yuv444p")
    return f"-c:v libx265 -preset ultrafast -pix_fmt {pixels} -x265-params {':'.join(x265)}"


def _vpx(draw: DrawFn, codec: str, kinds: set[str]) -> str:
    name = "libvpx" if codec == "vp8" else "libvpx-vp9"
    # A negative -cpu-used: with a positive one libvpx goes by the clock, and no example comes twice.
    options = f"-c:v {name} -deadline realtime -cpu-used -8 -b:v 300k -g {pick(draw, '12', '5', '100')}"
    extra = pick(draw, "", "hidden pictures", "resilient")
    if extra:
        kinds.add(extra)
    options += {
        "": "",
        "hidden pictures": " -auto-alt-ref 1 -lag-in-frames 10 -deadline good",
        "resilient": " -error-resilient 1",
    }[extra]
    if codec == "vp9":
        options += f" -pix_fmt {pick(draw, 'yuv420p', 'yuv444p', 'gbrp')}"
    return options


def _av1(draw: DrawFn, kinds: set[str]) -> str:
    gop = pick(draw, "12", "5", "100")
    if pick(draw, "svt", "aom") == "svt":
        pixels = pick(draw, "yuv420p", "yuv420p10le")
        resize = pick(draw, "", "", "resized")
        if resize:
            kinds.add(resize)
            resize = f":resize-mode=1:resize-denom={pick(draw, '12', '9')}:resize-kf-denom=8"
        return f"-c:v libsvtav1 -preset 12 -g {gop} -svtav1-params lp=1{resize} -pix_fmt {pixels}"
    return f"-c:v libaom-av1 -cpu-used 8 -usage {pick(draw, 'realtime', 'good')} -lag-in-frames 8 -g {gop}"


def encoded(draw: DrawFn, codec: str, size: str, kinds: set[str]) -> Step:
    """A clip straight from its encoder."""
    coder = {
        "h264": lambda: _h264(draw, kinds),
        "hevc": lambda: _hevc(draw, kinds),
        "vp8": lambda: _vpx(draw, "vp8", kinds),
        "vp9": lambda: _vpx(draw, "vp9", kinds),
        "av1": lambda: _av1(draw, kinds),
    }[codec]()
    arguments = f"{_source(draw, size, kinds)} {coder} -fflags +bitexact"
    return Step(tool="ffmpeg", arguments=arguments, suffix="mkv")


MUXING = {
    "mp4": (
        "",
        "-movflags +faststart",
        "-movflags +frag_keyframe+empty_moov",
        "-movflags +frag_every_frame+empty_moov",
        "-movflags +negative_cts_offsets",
        "-use_editlist 0",
        "-movflags +cmaf",
        "-video_track_timescale 90000",
        "-movflags +frag_keyframe+delay_moov",
        "-movflags +dash+frag_keyframe",
    ),
    "mov": ("", "-movflags +faststart", "-movflags +frag_keyframe+empty_moov", "-write_tmcd 1"),
    "mkv": ("", "-cluster_time_limit 300", "-live 1", "-cues_to_front 1", "-reserve_index_space 4096"),
    "webm": ("", "-cluster_time_limit 300", "-live 1"),
    "ts": (
        "",
        "-muxdelay 0 -muxpreload 0",
        "-mpegts_flags +resend_headers",
        "-pes_payload_size 0",
        "-omit_video_pes_length 0",
        "-mpegts_m2ts_mode 1",
        "-mpegts_copyts 1",
    ),
}

TIMES = {
    "": "",
    "offset": "-output_ts_offset 1.3",
    "far offset": "-output_ts_offset 95442",
    "negative": "-output_ts_offset -0.4 -avoid_negative_ts disabled",
    "make zero": "-avoid_negative_ts make_zero",
    "jitter": r"-bsf:v setts=pts='PTS+mod(N\,3)':dts='DTS-3'",
    "slow": r"-bsf:v setts=ts='TS*3'",
    "jump": r"-bsf:v setts=ts='TS+if(gte(N\,9)\,2/TB\,0)'",
    "lost pictures": r"-bsf:v noise=drop='between(n\,13\,14)'",
    "starts in mid-GOP": r"-bsf:v noise=drop='lt(n\,3)'",
    "no durations": "-bsf:v setts=duration=0",
}

H264_METADATA = {
    "sample aspect ratio": "sample_aspect_ratio=4/3",
    "matrix": "matrix_coefficients=1",
    "matrix bt2020": "matrix_coefficients=9:colour_primaries=9",
    "matrix GBR": "matrix_coefficients=0",
    "matrix YCgCo": "matrix_coefficients=8",
    "full range": "video_full_range_flag=1",
    "crop": "crop_left=4:crop_right=6:crop_top=2:crop_bottom=8",
    "chroma place": "chroma_sample_loc_type=3",
    "turned in SEI": "rotate=90",
    "access unit delimiters": "aud=insert",
}
HEVC_METADATA = {
    "sample aspect ratio": "sample_aspect_ratio=4/3",
    "matrix": "matrix_coefficients=1",
    "matrix GBR": "matrix_coefficients=0",
    "full range": "video_full_range_flag=1",
    "crop": "crop_left=4:crop_right=6:crop_top=2:crop_bottom=8",
    "access unit delimiters": "aud=insert",
}

TURNS = {  # what is asked of the muxer: FFmpeg's filters that turn the picture upright
    "-display_rotation -90": "transpose=clock",
    "-display_rotation 90": "transpose=cclock",
    "-display_rotation 180": "hflip,vflip",
    "-display_hflip:v:0": "hflip",
    "-display_vflip:v:0": "vflip",
}


def _times(draw: DrawFn, codec: str, suffix: str, kinds: set[str]) -> str:
    times = pick(draw, "", "", *list(TIMES)[1:])
    if times:
        kinds.add(times)
    return TIMES[times]


def remuxed(  # noqa: PLR0912, PLR0915 - a list of choices
    draw: DrawFn, step: Step, codec: str, kinds: set[str]
) -> tuple[Step, str]:
    """The clip in another container, with other times and metadata; and the turn that it asks for."""
    suffix = pick(draw, *CONTAINERS[codec])
    before, options, turn = "", [], ""
    what = pick(
        draw, "nothing", "times", "metadata", "cut", "parameter sets", "sound", "picture", "colours", "turned"
    )
    filters = ""
    if what == "times":
        options.append(_times(draw, codec, suffix, kinds))
    elif what == "metadata" and codec in ("h264", "hevc"):
        listed = H264_METADATA if codec == "h264" else HEVC_METADATA
        name = pick(draw, *listed)
        kinds.add(name)
        filters = f"{codec}_metadata={listed[name]}"
        if name == "turned in SEI":
            turn = "transpose=cclock"
    elif what == "cut":
        kinds.add("cut")
        before = f"-ss {pick(draw, '0.3', '0.77', '1.1')}"
    elif what == "parameter sets" and codec in ("h264", "hevc"):
        name = pick(draw, "in-band", "in-band alone", "sets at each picture")
        kinds.add(name)
        filters = {
            "in-band": "dump_extra=freq=keyframe",
            "in-band alone": f"{codec}_mp4toannexb,dump_extra=freq=keyframe,remove_extra=freq=all",
            "sets at each picture": "dump_extra=freq=all",
        }[name]
    elif what == "turned" and suffix in ("mp4", "mov", "mkv"):
        before = pick(draw, *TURNS)
        turn = TURNS[before]
        kinds.add("turned")
    elif what == "colours":
        kinds.add("colours in the container")
        matrix = pick(draw, "bt709", "bt2020nc", "smpte170m")
        options.append(f"-colorspace {matrix} -color_range {pick(draw, 'tv', 'pc')}")
    muxing = pick(draw, *MUXING[suffix])
    if "frag" in muxing or "cmaf" in muxing or "dash" in muxing:
        kinds.add("fragmented")
    if "negative_cts" in muxing or "use_editlist" in muxing:
        kinds.add("no edit list")
    if filters:
        options.append(f"-bsf:v {filters}")
    inputs = (step,)
    mapped = "-map 0:v"
    second = ""
    if what == "sound" and suffix in ("mp4", "mov", "mkv", "ts"):
        kinds.add("sound")
        late = pick(draw, "", "", "sound", "video")
        if late:
            kinds.add(f"late {late}")
        before = "-itsoffset 0.7" if late == "video" else ""
        second = f"{'-itsoffset 0.7' if late == 'sound' else ''} -f lavfi -i sine=duration=2"
        mapped = pick(draw, "-map 0:v -map 1:a", "-map 1:a -map 0:v") + " -c:a aac"
    elif what == "picture" and suffix in ("mp4", "mov", "mkv"):
        kinds.add("thumbnail stream")
        second = "-f lavfi -i testsrc2=size=32x24:rate=1:duration=1"
        before_it = "-map 1:v -map 0:v -c:v:0 mjpeg -pix_fmt:v:0 yuvj420p"
        before_it += " -disposition:v:0 0 -disposition:v:1 default"  # which FFmpeg prefers
        behind_it = "-map 0:v -map 1:v -c:v:1 mjpeg -pix_fmt:v:1 yuvj420p"
        mapped = pick(draw, before_it, behind_it, f"{behind_it} -disposition:v:1 attached_pic")
    words = f"{before} -i {{0}} {second} -c:v copy {mapped} {' '.join(options)} {muxing} -fflags +bitexact"
    if suffix == "ts":
        kinds.add("ts")
    return Step(tool="ffmpeg", arguments=" ".join(words.split()), suffix=suffix, inputs=inputs), turn


@st.composite
def plain_clips(draw: DrawFn) -> Clip:
    """One stream in one container."""
    codec = pick(draw, "h264", "h264", "hevc", "vp8", "vp9", "av1")
    kinds = {codec}
    step = encoded(draw, codec, pick(draw, *SIZES), kinds)
    step, turn = remuxed(draw, step, codec, kinds)
    return Clip(step=step, kinds=frozenset(kinds), turn=turn)


@st.composite
def edited_clips(draw: DrawFn) -> Clip:
    """An MP4 file with an edit list of several segments, or of one that begins within a GOP."""
    codec = pick(draw, "h264", "hevc")
    kinds = {codec, "edit list"}
    step = encoded(draw, codec, pick(draw, *SIZES), kinds)
    step = Step(tool="ffmpeg", arguments="-i {0} -c copy -fflags +bitexact", suffix="mp4", inputs=(step,))
    spec = pick(
        draw,
        "0.2:1",
        "0.2:0.5,1.1:0.6",
        "-1:0.5,0:1",
        "0:0.4,0.4:0.4,1.2:0.4",
        "1:0.5,0:0.5",
        "0.3:0.2,-1:0.4,0.6:0.7",
    )
    return Clip(
        step=Step(tool="edit_list", arguments=f"{{0}} {spec}", suffix="mp4", inputs=(step,)),
        kinds=frozenset(kinds),
    )


def _pixel_format(step: Step) -> str:
    """As asked of the encoder; yuv420p without."""
    words = step.arguments.split()
    return words[words.index("-pix_fmt") + 1] if "-pix_fmt" in words else "yuv420p"


@st.composite
def joined_clips(draw: DrawFn) -> Clip:
    """Two streams of one codec, one after the other in one file."""
    codec = pick(draw, "h264", "hevc", "vp8", "vp9", "av1")
    kinds = {codec, "joined"}
    first_size = pick(draw, *SIZES)
    second_size = pick(draw, first_size, first_size, *SIZES)
    if first_size != second_size:
        kinds.add("size changes")
    parts = (encoded(draw, codec, first_size, kinds), encoded(draw, codec, second_size, kinds))
    if len({_pixel_format(part) for part in parts}) > 1:
        kinds.add("format changes")
    how = pick(draw, "concat", "cat") if codec in ("h264", "hevc") else "concat"
    if how == "cat":
        kinds |= {"ts", "cat"}
        delay = pick(draw, "-output_ts_offset 0", "-output_ts_offset 4")
        streams = tuple(
            Step(
                tool="ffmpeg",
                arguments=f"-i {{0}} -c copy {offset} -fflags +bitexact",
                suffix="ts",
                inputs=(part,),
            )
            for part, offset in zip(parts, ("", delay), strict=True)
        )
        clocks = pick(draw, "", "15 silent", "7 silent", "15 announced")
        tool = "cat_clocks" if clocks else "cat"
        return Clip(
            step=Step(tool=tool, arguments=f"{clocks} {{0}} {{1}}", suffix="ts", inputs=streams),
            kinds=frozenset(kinds),
            parts=parts,
        )
    suffix = pick(draw, *CONTAINERS[codec])
    if suffix == "ts":
        kinds.add("ts")
    joint = "-f concat -safe 0 -i {0} -c copy -fflags +bitexact"
    listed = Step(tool="concat_list", arguments="{0} {1}", suffix="txt", inputs=parts)
    return Clip(
        step=Step(tool="ffmpeg", arguments=joint, suffix=suffix, inputs=(listed,)),
        kinds=frozenset(kinds),
        parts=parts,
    )


@st.composite
def damaged_clips(draw: DrawFn) -> Clip:
    """A plain clip, with bytes lost, changed or added."""
    clip = draw(plain_clips())
    edits = ["truncate", "zero", "flip", "append"] + (["lose", "behead"] if clip.step.suffix == "ts" else [])
    edit = draw(st.sampled_from(edits))
    share = draw(st.integers(5, 99)) / 100
    arguments = {
        "truncate": f"{share}",
        "zero": f"{share} {pick(draw, '64', '4', '1000')}",
        "flip": f"{draw(st.integers(0, 99))} {pick(draw, '1', '5', '50')}",
        "append": pick(draw, "id3", "text", "xml", "zeros", "ones", "short"),
        "lose": f"{share}",
        "behead": pick(draw, "1", "3", "10"),
    }[edit]
    damaged = Step(tool=edit, arguments=f"{{0}} {arguments}", suffix=clip.step.suffix, inputs=(clip.step,))
    kinds = clip.kinds | {edit, "trailing bytes" if edit == "append" else "damaged"}
    return replace(clip, step=damaged, kinds=kinds, whole=clip.step)
