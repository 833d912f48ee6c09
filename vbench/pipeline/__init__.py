"""The service that is measured: split, decode and infer a video on Ray Serve."""
