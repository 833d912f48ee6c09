"""Video in, exact frames out: probing, splitting, decoding, and synthetic scenes with ground truth."""
