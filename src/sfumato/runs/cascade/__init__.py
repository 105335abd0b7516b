"""Models in one folder, each of which begins with what the one before made."""
