"""Manifests for Kubernetes, ``ray up`` and Anyscale, written from a trial's configuration."""
