"""What does a Ray runtime setting do to a real video-inference service? An experiment harness."""

__version__ = "0.1.0"
