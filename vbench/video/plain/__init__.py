"""One plain pass of FFmpeg over a whole file, apart from the service's own reading."""
