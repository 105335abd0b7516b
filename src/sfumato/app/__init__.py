"""The faces of sfumato: the command line, pictures and the report; only they know a terminal or a page."""
