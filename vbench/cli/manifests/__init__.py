"""What other tools bring the cluster and the graph up from, rendered from a trial's own configuration."""
