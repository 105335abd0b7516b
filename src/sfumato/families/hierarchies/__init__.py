"""Codes of codes: hierarchical variational autoencoders."""
