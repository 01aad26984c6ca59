-- The warehouse. Times are naive UTC. Read from the views (events, slices) and tables below;
-- event_rows and slice_rows are how they are stored: narrow, because most of an event repeats its session.

-- What was ingested: one row a file (and window of received_time, where ingest was asked for one).
CREATE TABLE IF NOT EXISTS batches (
    batch_id       INTEGER NOT NULL,
    source         VARCHAR NOT NULL,
    table_name     VARCHAR NOT NULL,
    format         VARCHAR NOT NULL,
    digest         VARCHAR NOT NULL,   -- SHA-256 of the bytes
    contract       VARCHAR NOT NULL,   -- fingerprint of the contract it was judged by: a new contract reads it again
    size_bytes     BIGINT NOT NULL,
    modified_ns    BIGINT NOT NULL,    -- with source and size: the cheap way to know a file again
    window_start   TIMESTAMP,          -- NULL: the whole file
    window_end     TIMESTAMP,
    rows           BIGINT NOT NULL,
    accepted       BIGINT NOT NULL,
    duplicates     BIGINT NOT NULL,
    quarantined    BIGINT NOT NULL,
    min_received   TIMESTAMP,
    max_received   TIMESTAMP,
    merged_until   TIMESTAMP,          -- events received before this are in slices and sessions
    ingested_time  TIMESTAMP NOT NULL
);

-- What breaks the contract, whole files included (line IS NULL).
CREATE TABLE IF NOT EXISTS quarantine (
    batch_id  INTEGER NOT NULL,
    source    VARCHAR NOT NULL,
    line      BIGINT,                  -- 1-based: line of a text file, row of a Parquet file
    reason    VARCHAR NOT NULL,
    detail    VARCHAR NOT NULL,
    raw       VARCHAR                  -- first 16,384 characters
);

-- Who watched what, over which networks, on which device: one row a distinct combination.
-- context_id is a hash of the row, so the same combination has the same id in every file; session_key is a hash of
-- session_id. Work on whole numbers is several times faster than on text.
CREATE TABLE IF NOT EXISTS contexts (
    context_id       UBIGINT NOT NULL,
    session_key      UBIGINT NOT NULL,
    session_id       VARCHAR NOT NULL,
    subscriber_id    VARCHAR NOT NULL,
    country          VARCHAR,
    region           VARCHAR,
    isp              VARCHAR,
    cdn              VARCHAR,
    device_type      VARCHAR,
    app_version      VARCHAR,
    connection_type  VARCHAR,
    content_type     VARCHAR,
    title_id         VARCHAR
);

CREATE TABLE IF NOT EXISTS event_rows (
    event_id       VARCHAR NOT NULL USING COMPRESSION uncompressed,  -- unique text: compressing it is a third of the insert
    event_time     TIMESTAMP NOT NULL,
    received_time  TIMESTAMP NOT NULL,
    occurred_time  TIMESTAMP NOT NULL,  -- event_time, or received_time where the player's clock cannot be right
    session_key    UBIGINT NOT NULL,
    context_id     UBIGINT NOT NULL,
    event          event_name NOT NULL,
    startup_ms     INTEGER,
    playing_ms     INTEGER,
    stalled_ms     INTEGER,
    stall_count    INTEGER,
    bitrate_kbps   INTEGER,
    error_class    error_class,
    error_code     VARCHAR,
    batch_id       INTEGER NOT NULL
);

-- Events whose own clock is more than an hour from occurred_time: few, so a later copy of one is looked up here.
CREATE TABLE IF NOT EXISTS strays (
    event_id       VARCHAR NOT NULL,
    occurred_time  TIMESTAMP NOT NULL
);

-- Sessions of which a merged event was replaced by a copy received earlier: the next merge counts them afresh.
CREATE TABLE IF NOT EXISTS stale_sessions (
    session_key  UBIGINT NOT NULL
);

-- One row a session and five-minute slot of occurred_time.
CREATE TABLE IF NOT EXISTS slice_rows (
    session_key      UBIGINT NOT NULL,
    slot             TIMESTAMP NOT NULL,
    context_id       UBIGINT NOT NULL,
    requested        INTEGER NOT NULL,
    started          INTEGER NOT NULL,
    failed           INTEGER NOT NULL,
    denied           INTEGER NOT NULL,
    ended            INTEGER NOT NULL,
    startup_ms       INTEGER,
    playing_ms       BIGINT NOT NULL,
    stalled_ms       BIGINT NOT NULL,
    stall_count      BIGINT NOT NULL,
    bitrate_kbps_ms  BIGINT NOT NULL,
    error_class      error_class,
    error_code       VARCHAR,
    first_time       TIMESTAMP NOT NULL,
    last_time        TIMESTAMP NOT NULL,
    last_received    TIMESTAMP NOT NULL,
    events           INTEGER NOT NULL,
    changed_time     TIMESTAMP NOT NULL
);

CREATE OR REPLACE VIEW events AS
SELECT
    e.event_id, e.event_time, e.received_time, c.session_id, c.subscriber_id, e.event::VARCHAR AS event,
    e.startup_ms, e.playing_ms, e.stalled_ms, e.stall_count, e.bitrate_kbps,
    e.error_class::VARCHAR AS error_class, e.error_code,
    c.country, c.region, c.isp, c.cdn, c.device_type, c.app_version, c.connection_type, c.content_type, c.title_id,
    e.batch_id, e.occurred_time
FROM event_rows AS e
JOIN contexts AS c USING (context_id);

CREATE OR REPLACE VIEW slices AS
SELECT
    c.session_id, c.subscriber_id, s.slot,
    c.country, c.region, c.isp, c.cdn, c.device_type, c.app_version, c.connection_type, c.content_type, c.title_id,
    s.requested, s.started, s.failed, s.denied, s.ended, s.startup_ms,
    s.playing_ms, s.stalled_ms, s.stall_count, s.bitrate_kbps_ms,
    s.error_class::VARCHAR AS error_class, s.error_code,
    s.first_time, s.last_time, s.last_received, s.events, s.changed_time
FROM slice_rows AS s
JOIN contexts AS c USING (context_id);

-- One row a playback attempt: the same sums over its slices, and so always in step with them.
CREATE OR REPLACE VIEW sessions AS
WITH by_context AS (
    SELECT
        session_key, context_id,
        min(first_time) AS started_time, max(last_time) AS last_time, min(slot) AS first_slot,
        sum(requested) AS requested, sum(started) AS started, sum(failed) AS failed, sum(denied) AS denied,
        sum(ended) AS ended, max(startup_ms) AS startup_ms, sum(playing_ms) AS playing_ms,
        sum(stalled_ms) AS stalled_ms, sum(stall_count) AS stall_count, sum(bitrate_kbps_ms) AS bitrate_kbps_ms,
        max(error_class) AS error_class, max(error_code) AS error_code, max(last_received) AS last_received,
        sum(events) AS events, max(changed_time) AS changed_time
    FROM slice_rows
    GROUP BY ALL
),
whole AS (
    SELECT
        min(c.session_id) AS session_id, min(c.subscriber_id) AS subscriber_id,
        min(started_time) AS started_time, max(last_time) AS last_time, min(first_slot) AS first_slot,
        max(c.country) AS country, max(c.region) AS region, max(c.isp) AS isp, max(c.cdn) AS cdn,
        max(c.device_type) AS device_type, max(c.app_version) AS app_version,
        max(c.connection_type) AS connection_type, max(c.content_type) AS content_type, max(c.title_id) AS title_id,
        sum(requested)::BIGINT AS requested, sum(started)::BIGINT AS started, sum(failed)::BIGINT AS failed,
        sum(denied)::BIGINT AS denied, sum(ended)::BIGINT AS ended, max(startup_ms) AS startup_ms,
        sum(playing_ms)::BIGINT AS playing_ms, sum(stalled_ms)::BIGINT AS stalled_ms,
        sum(stall_count)::BIGINT AS stall_count, sum(bitrate_kbps_ms)::BIGINT AS bitrate_kbps_ms,
        max(error_class)::VARCHAR AS error_class, max(error_code) AS error_code,
        max(last_received) AS last_received, sum(events)::BIGINT AS events, max(changed_time) AS changed_time
    FROM by_context AS s
    JOIN contexts AS c USING (context_id)
    GROUP BY s.session_key
)
SELECT
    *,
    CASE
        WHEN failed > 0 THEN 'failed'
        WHEN denied > 0 THEN 'denied'
        WHEN ended > 0 AND started = 0 AND playing_ms = 0 THEN 'abandoned'  -- left before the first frame
        WHEN ended > 0 THEN 'ended'
        ELSE 'playing'
    END AS outcome
FROM whole;
