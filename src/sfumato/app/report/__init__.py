"""The report of a run: one page that holds everything it shows."""

from sfumato.app.report.content import Report
from sfumato.app.report.page import render, write_report

__all__ = ["Report", "render", "write_report"]
