"""Brings a video to a file: from a local path, over HTTP, from object stores."""
