"""The rules a trial must pass before its numbers mean anything."""
