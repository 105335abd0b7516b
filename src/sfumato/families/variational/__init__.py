"""Autoencoders whose codes are distributions."""
