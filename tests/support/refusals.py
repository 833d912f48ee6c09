"""What a command line that cannot be composed is told."""

import pytest

from vbench.errors import ConfigError
from vbench.run.compose import ask


def refused(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        ask(overrides, multirun=multirun)
    return str(caught.value)
