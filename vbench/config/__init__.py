"""What can be configured: the schema, the settings of Ray, sizes."""
