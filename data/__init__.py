"""The demo world: a seeded recipe that makes a world of the telemetry contract."""
