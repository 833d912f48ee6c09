"""Names of those whose conditions (CPUs, quotas, environment) a record holds."""

HARNESS = "harness"
LOAD = "load process"
RAYLET = "raylet of "
WORKERS = "workers of "
MACHINE = "'s machine"
"""What the record calls those whose conditions it holds: ``raylet of head``, ``head's machine``."""
