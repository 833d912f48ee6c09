"""Checks container formats for damage: MP4/MOV, Matroska/WebM, MPEG transport streams."""
