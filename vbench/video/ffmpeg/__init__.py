"""Runs FFmpeg: where it is, its options and filters, and its process."""
