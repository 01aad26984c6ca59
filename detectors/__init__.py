"""Findings: which cohorts and which subscribers are having a bad time, how surprising it is, and since when."""
