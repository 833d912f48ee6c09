"""A call, a sweep, a trial: composed, validated, run, resumed."""
