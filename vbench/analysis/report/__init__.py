"""A comparison as a page, as plots and on the terminal."""
