"""The report of a run: one page that holds everything it shows."""

from sfumato.app.report.content import Figure, Report
from sfumato.app.report.page import render, write_report

__all__ = ["Figure", "Report", "render", "write_report"]
