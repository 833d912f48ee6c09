"""Reads and checks container formats: MP4, Matroska, MPEG transport streams."""
