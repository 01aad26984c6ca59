"""Incident reports: one self-contained page for each incident and an index, from the ledger alone."""

from console.report.pages import Reports, write_report, write_reports

__all__ = ["Reports", "write_report", "write_reports"]
