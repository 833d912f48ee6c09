"""Synthetic scenes with ground truth: rendering, encoding, and rotating clips in time."""
