"""What Ray's job runner reads from a job's environment, and its limits for packages and log lines."""

STOP_SIGNAL_VARIABLE = "RAY_JOB_STOP_SIGNAL"
"""The signal by which a job is asked to end: SIGINT, or SIGTERM by default."""
STOP_WAIT_VARIABLE = "RAY_JOB_STOP_WAIT_TIME_S"
"""Seconds that it may then take: 3 by default."""

PACKAGE_LIMIT_BYTES = 512 * 2**20
"""Of a job's package: the head's control store keeps it in memory, and takes it in one gRPC message."""

LOG_LINE_LIMIT = 20_000
"""Characters. Ray's log readers may cut longer lines."""
