"""Small clips that FFmpeg makes on the spot, one for each way in which videos differ."""

import shlex
import subprocess
from pathlib import Path

from vbench.video.ffmpeg.executable import ffmpeg_path

TEXTURE = "noise=alls=10:allf=t:all_seed=7"
X264 = "-c:v libx264 -preset ultrafast -bf 2 -g 30 -threads 2"
X265 = "-c:v libx265 -preset ultrafast -threads 2 -x265-params log-level=error:pools=2"


def source(seconds: float = 4, rate: str = "30", size: str = "160x90", filters: str = TEXTURE) -> str:
    """FFmpeg's arguments for a moving, textured picture."""
    return f"-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds},{filters}"


UNEVEN = rf"{TEXTURE},select='not(mod(n\,3))+lt(mod(n\,11)\,4)'"
GAP = rf"{TEXTURE},select='lt(t\,1)+gt(t\,3)'"

RECIPES: dict[str, tuple[str, str]] = {
    # name: (suffix, arguments of FFmpeg); {other} is the path of another clip, {log} a file for two passes
    "constant": ("mp4", f"{source()} {X264}"),
    "closed_gop": ("mp4", f"{source()} {X264} -x264-params keyint=24:scenecut=0:open-gop=0"),
    "variable": ("mp4", f"{source(filters=UNEVEN)} -fps_mode vfr {X264}"),
    "variable_mkv": ("mkv", f"{source(filters=UNEVEN)} -fps_mode vfr {X264}"),
    "gap": ("mp4", f"{source(filters=GAP)} -fps_mode vfr {X264}"),
    "b_pyramid": (
        "mp4",
        f"{source()} -c:v libx264 -preset fast -bf 8 -refs 5 -g 48 -x264-params b-pyramid=2",
    ),
    "open_gop": ("mp4", f"{source()} -c:v libx264 -preset fast -bf 3 -x264-params keyint=24:open-gop=1"),
    "open_gop_ts": ("ts", f"{source()} -c:v libx264 -preset fast -bf 3 -x264-params keyint=24:open-gop=1"),
    "open_gop_cut": ("mkv", "-ss 1.5 -i {open_gop} -c copy"),
    "open_gop_edited": ("mp4", "-ss 1.5 -i {open_gop} -c copy"),
    "long_gop": ("mp4", f"{source()} {X264} -g 600"),
    "intra_refresh": (
        "mp4",
        f"{source()} -c:v libx264 -preset ultrafast -x264-params intra-refresh=1:keyint=30:bframes=0",
    ),
    "intra_refresh_ts": (
        "ts",
        f"{source()} -c:v libx264 -preset ultrafast -x264-params intra-refresh=1:keyint=30:bframes=0",
    ),
    "edit_list": ("mp4", "-ss 1.37 -i {constant} -c copy"),
    "delayed_start": ("mp4", "-itsoffset 1.3 -i {constant} -c copy"),
    "rotated_90": ("mp4", "-display_rotation -90 -i {constant} -c copy"),
    "rotated_180": ("mp4", "-display_rotation 180 -i {constant} -c copy"),
    "rotated_270": ("mp4", "-display_rotation 90 -i {constant} -c copy"),
    "mirrored": ("mp4", "-display_hflip:v:0 -i {constant} -c copy"),
    "odd_444": ("mp4", f"{source(size='161x91')} {X264} -pix_fmt yuv444p"),
    "rate_29_97": ("mp4", f"{source(rate='30000/1001')} {X264}"),
    "rate_23_976": ("mkv", f"{source(rate='24000/1001')} {X264}"),
    "with_sound": ("mp4", f"{source()} -f lavfi -i sine=duration=5 {X264} -c:a aac"),
    "with_sound_ts": ("ts", f"{source()} -f lavfi -i sine=duration=5 {X264} -c:a aac"),
    "quicktime": ("mov", f"{source()} {X264}"),
    "fragmented": ("mp4", f"{source()} {X264} -movflags +frag_keyframe+empty_moov"),
    "faststart": ("mp4", f"{source()} {X264} -movflags +faststart"),
    "late_ts": ("ts", f"{source()} {X264} -output_ts_offset 95442"),
    "interlaced": ("ts", f"{source(size='160x96')} {X264} -flags +ilme+ildct -x264-params tff=1"),
    "ten_bit": ("mp4", f"{source()} {X265} -pix_fmt yuv420p10le -g 30"),
    "hevc": ("mp4", f"{source()} {X265}:open-gop=1:keyint=24:scenecut=0:bframes=3"),
    "hevc_layers": ("mp4", f"{source()} {X265}:temporal-layers=3:keyint=24:bframes=3:b-adapt=0"),
    "hevc_ts": ("ts", f"{source()} {X265}:open-gop=0:keyint=24:bframes=3"),
    "hevc_cut": ("mkv", "-ss 1.5 -i {hevc} -c copy"),
    # libvpx takes a positive -cpu-used for VP8 as a limit and goes by the clock; a negative one is exact.
    "vp8": (
        "webm",
        f"{source()} -c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -deadline realtime -cpu-used -8 -g 40",
    ),
    # Alternate references: pictures that are never shown, with the pts of one that is.
    "vp8_two_pass": (
        "webm",
        f"{source()} -c:v libvpx -auto-alt-ref 1 -lag-in-frames 25 -b:v 400k -cpu-used 5 -g 60 "
        "-passlogfile {log}",
    ),
    "vp9": (
        "webm",
        f"{source()} -c:v libvpx-vp9 -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 8 -g 40",
    ),
    "av1": ("mp4", f"{source()} -c:v libsvtav1 -preset 11 -g 30"),
    "av1_mkv": ("mkv", f"{source()} -c:v libsvtav1 -preset 11 -g 30"),
    "short": ("mp4", f"{source(seconds=0.5)} {X264}"),
    "one_frame": ("mp4", f"{source(seconds=0.03)} {X264}"),
    "full_range": ("mp4", f"{source()} {X264} -pix_fmt yuvj420p -colorspace bt709"),
    "colour_in_container": (
        "mp4",
        "-i {constant} -c copy -colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range pc",
    ),
    "hdr": (
        "mp4",
        f"{source()} {X265}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc -pix_fmt yuv420p10le",
    ),
}


class ClipStore:
    """Makes each clip once, when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str) -> Path:
        """The path of the clip of that name."""
        suffix, arguments = RECIPES[name]
        path = self.folder / f"{name}.{suffix}"
        if not path.exists():
            filled = arguments.replace("{log}", f"{path}.log")
            words = [str(self(word[1:-1])) if word[0] == "{" else word for word in shlex.split(filled)]
            if "-passlogfile" in words:
                run_ffmpeg(*words, "-pass", "1", "-f", "null", "-")
                words += ["-pass", "2"]
            run_ffmpeg(*words, "-fflags", "+bitexact", str(path))
        return path


def run_ffmpeg(*arguments: str) -> str:
    """Run FFmpeg to the end; what it printed on standard output."""
    command = [ffmpeg_path(), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"{command} failed: {done.stderr}")
    return done.stdout
