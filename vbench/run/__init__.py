"""Runs a command line: composes, validates, plans, runs and resumes its trials."""
