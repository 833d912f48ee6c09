"""Reads videos in separate processes with limits on memory and CPU time."""
