"""The load as a Ray job on an attached cluster."""
