"""The container image of a runtime."""

from vbench.config.schema import Config


def image_of(config: Config) -> str:
    """As configured; else the name under which the Dockerfile's image of this runtime is built."""
    return config.runtime.image or f"vbench:{config.runtime.name}"
