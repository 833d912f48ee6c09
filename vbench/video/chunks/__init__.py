"""Plans chunks, chooses the packets that each needs, and writes them as NUT."""
