"""One channel, one file: a channel translates and posts; retries and records belong to `deliver`."""
