-- What detection learns and keeps in the warehouse. Days are UTC.

-- One row a subscriber and day: what their playback was like, gross outliers clipped so that a fault is not
-- learnt as their normal.
CREATE TABLE IF NOT EXISTS subscriber_days (
    day DATE NOT NULL,
    subscriber_id VARCHAR NOT NULL,
    playing_ms BIGINT NOT NULL,
    stalled_ms BIGINT NOT NULL,
    starts INTEGER NOT NULL,
    startup_excess DOUBLE NOT NULL,
    sessions INTEGER NOT NULL,
    stalling INTEGER NOT NULL
);

-- One row a device type and day: sums of the logarithm of start-up time.
CREATE TABLE IF NOT EXISTS device_days (
    day DATE NOT NULL,
    device_type VARCHAR,
    starts INTEGER NOT NULL,
    log_startup DOUBLE NOT NULL
);

-- One row a subscriber: their own normal, shrunk towards everyone's; the factors are ratios to everyone's.
CREATE TABLE IF NOT EXISTS subscriber_normals (
    subscriber_id VARCHAR NOT NULL,
    rebuffering_ratio DOUBLE NOT NULL,
    startup_factor DOUBLE NOT NULL,
    stalling_factor DOUBLE NOT NULL
);

-- One row a device type: the usual start-up time.
CREATE TABLE IF NOT EXISTS device_normals (
    device_type VARCHAR,
    startup_ms DOUBLE NOT NULL
);

-- One row an hour and finest cohort (titles left out): exposures, and of each signal the fresh
-- impairments (one a person) and all of them.
CREATE TABLE IF NOT EXISTS cohort_hours (
    day DATE NOT NULL,
    hour TIMESTAMP NOT NULL,
    country VARCHAR,
    region VARCHAR,
    isp VARCHAR,
    cdn VARCHAR,
    device_type VARCHAR,
    app_version VARCHAR,
    connection_type VARCHAR,
    content_type VARCHAR,
    exposed_buffering INTEGER NOT NULL,
    exposed_startup INTEGER NOT NULL,
    exposed_failure INTEGER NOT NULL,
    exposed_access INTEGER NOT NULL,
    at_risk_buffering INTEGER NOT NULL,
    at_risk_startup INTEGER NOT NULL,
    at_risk_failure INTEGER NOT NULL,
    at_risk_access INTEGER NOT NULL,
    fresh_buffering INTEGER NOT NULL,
    fresh_startup INTEGER NOT NULL,
    fresh_failure INTEGER NOT NULL,
    fresh_access INTEGER NOT NULL,
    all_buffering INTEGER NOT NULL,
    all_startup INTEGER NOT NULL,
    all_failure INTEGER NOT NULL,
    all_access INTEGER NOT NULL
);

-- Which days the tables above have learnt.
CREATE TABLE IF NOT EXISTS learnt_days (day DATE PRIMARY KEY);

-- One row a day, signal and subscriber in whom a fault of their own may have begun: where the run of their sessions
-- stood at the end of the day (UTC).
CREATE TABLE IF NOT EXISTS subscriber_runs (
    day DATE NOT NULL,
    signal VARCHAR NOT NULL,
    subscriber_id VARCHAR NOT NULL,
    log_odds DOUBLE NOT NULL,
    since_slot BIGINT NOT NULL,
    impaired INTEGER NOT NULL,
    sessions INTEGER NOT NULL
);

-- One row a day and kind of session: how many sessions of people without a fault of their own were of that kind, of how
-- many that could have been. What is usual for everybody is learnt from it.
CREATE TABLE IF NOT EXISTS session_kinds (
    day DATE NOT NULL,
    kind VARCHAR NOT NULL,
    sessions BIGINT NOT NULL,
    exposed BIGINT NOT NULL
);
