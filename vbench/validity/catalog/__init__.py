"""All rules by what they are about: names, meanings and remedies, of which the manual's page is made."""

from collections.abc import Iterator
from types import ModuleType

from vbench.validity.catalog import answers, links, load, machine, record, runtime, service
from vbench.validity.definition import RuleDefinition

SECTIONS: dict[str, ModuleType] = {
    "The record": record,
    "Responses": answers,
    "The service": service,
    "The load": load,
    "The runtime setting": runtime,
    "The machines": machine,
    "Emulated links": links,
}
"""Title -> the module of its rules; its docstring says what they have in common."""


def rules_of(section: ModuleType) -> Iterator[RuleDefinition]:
    """The rules of a section, in the order in which they are defined."""
    yield from (value for value in vars(section).values() if isinstance(value, RuleDefinition))
