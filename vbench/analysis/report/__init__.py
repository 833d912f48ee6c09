"""A comparison as a page, as data, as plots and in the terminal."""
