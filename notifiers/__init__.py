"""Notices and deliveries: decide whether to write, compose what to say, and say it once."""
