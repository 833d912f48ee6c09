"""Reads videos in processes of their own, which have limits."""
