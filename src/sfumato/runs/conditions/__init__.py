"""The conditions of a run: what a configuration says of each, and who turns words into tensors."""
