"""MLflow, which is filled from records; nothing else knows MLflow."""
