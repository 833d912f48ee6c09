"""The environment variables that child processes which read videos get: none that may be secret."""

import os

NAMES = frozenset(
    {
        *("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ"),
        "VBENCH_GUARD",  # identifies the children of a service to whoever started it
        # These select a GPU and its drivers, for FFmpeg's -hwaccel.
        *(
            "CUDA_VISIBLE_DEVICES",
            "CUDA_DEVICE_ORDER",
            "NVIDIA_VISIBLE_DEVICES",
            "NVIDIA_DRIVER_CAPABILITIES",
        ),
        *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ONEVPL_SEARCH_PATH", "MFX_HOME"),
        *("LIBVA_DRIVER_NAME", "LIBVA_DRIVERS_PATH", "VDPAU_DRIVER", "VDPAU_DRIVER_PATH"),
        *("VK_ICD_FILENAMES", "VK_DRIVER_FILES", "DISPLAY", "XDG_RUNTIME_DIR"),
    }
)
"""An allow-list, since nobody can list all secrets: cloud keys, Ray's token, future ones."""


def child_environment() -> dict[str, str]:
    """The variables of this process that FFmpeg and reader processes get."""
    return {name: value for name, value in os.environ.items() if name in NAMES}
