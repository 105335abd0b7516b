"""Families of generative models, one a file, and the agreements by which the rest of the house knows them."""
