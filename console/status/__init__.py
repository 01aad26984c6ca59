"""The public status page: static files that any web server can serve."""
