"""Checks on fields of settings: pydantic runs them, OmegaConf ignores them.

They stand in ``Annotated[...]``, so that one plain dataclass is a section of the configuration in
``vbench.config.schema`` and arguments of the service in ``vbench.pipeline.config``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value must be one of these."""

    values: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.literal_schema(list(self.values))


@dataclass(frozen=True, slots=True)
class Checked:
    """The value must pass a function that raises ValueError; what the function returns is not used."""

    check: Callable[[Any], object]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def validate(value: Any) -> Any:
            self.check(value)
            return value

        return core_schema.no_info_before_validator_function(validate, handler(source))
