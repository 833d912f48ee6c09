"""Calls of an application's deployments: the lines of ``calls.jsonl``."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a deployment while requests were measured. Times are Unix seconds."""

    request: str
    """Serve's id of the request that it was made for."""
    call: str
    caller: str | None
    """The call in which it was made; None for the one that the client's request makes."""
    deployment: str
    """Its name, after ``APPLICATION/`` if the trial has several applications."""
    replica: str
    node: str
    made_s: float | None
    """When its caller, or Serve's proxy, made it; None if that was not traced."""
    began_s: float
    """When the replica began to process it, with all arguments there."""
    ended_s: float
