"""Where a trial runs: each kind of cluster behind one small protocol."""
