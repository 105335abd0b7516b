"""Embeddings learned by contrast."""
