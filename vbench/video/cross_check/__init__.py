"""Reads a video independently of the service, to check what the service made of it."""
