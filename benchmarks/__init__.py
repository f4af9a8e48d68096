"""The measure of speed and memory: one first load, nothing changed, 1 % changed; ours and a peer in turn."""
