"""What the nodes do while requests run, and whether the runtime flags are in force."""
