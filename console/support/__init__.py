"""The support console: what goes on, whom we told, whether it helped, and where a lead says that it was wrong."""
