"""What a command line that cannot be composed is told."""

import pytest

from vbench.errors import ConfigError
from vbench.run.compose import compose_trials


def refused(*overrides: str, multirun: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose_trials(overrides, multirun=multirun)
    return str(caught.value)
