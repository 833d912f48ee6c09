"""``vbench cluster``: an emulated cluster as a tool by itself, with a file for each of its commands."""
