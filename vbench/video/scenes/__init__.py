"""Synthetic scenes with ground truth: rendered, encoded, cached."""
