"""Encoders and decoders without a likelihood."""
