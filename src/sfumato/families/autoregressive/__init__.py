"""Models that make an example token by token, or map by map, each given those before."""
