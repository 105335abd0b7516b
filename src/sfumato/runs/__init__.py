"""Runs: a typed configuration and the folder that a trained model is."""
