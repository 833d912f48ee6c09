"""What a trial leaves on disk: types, files, and the metrics that follow from them."""
