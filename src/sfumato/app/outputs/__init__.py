"""Where samples go: a file or folder whose kind its name says."""

from sfumato.app.outputs.writers import Writer, open_writer

__all__ = ["Writer", "open_writer"]
