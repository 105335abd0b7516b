"""The proof itself: it covers every piece, and it fails where something is wrong."""
