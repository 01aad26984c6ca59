"""Words: emails, in-app cards and incident reports."""
