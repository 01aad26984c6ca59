-- Slices whose events do not agree on who, what or where: of each property the greatest value that is known (of the
-- subscriber the least), as a context of its own.
CREATE OR REPLACE TEMP TABLE blended AS
WITH mixed AS (
    SELECT session_key, slot FROM merged WHERE context_id <> other_context_id
),
parts AS (
    SELECT mixed.session_key, mixed.slot, event_rows.context_id
    FROM event_rows
    JOIN mixed
        ON event_rows.session_key = mixed.session_key
        AND time_bucket(INTERVAL 5 MINUTES, event_rows.occurred_time) = mixed.slot
    JOIN batches USING (batch_id)
    WHERE occurred_time >= (SELECT min(slot) FROM mixed)
        AND received_time < greatest($until, coalesce(merged_until, $until))
    UNION
    SELECT session_key, slot, counted_context_id
    FROM merged
    SEMI JOIN mixed USING (session_key, slot)
    WHERE counted_context_id IS NOT NULL
),
blends AS (
    SELECT
        parts.session_key, slot, min(session_id) AS session_id, min(subscriber_id) AS subscriber_id,
        max(country) AS country, max(region) AS region, max(isp) AS isp, max(cdn) AS cdn,
        max(device_type) AS device_type, max(app_version) AS app_version, max(connection_type) AS connection_type,
        max(content_type) AS content_type, max(title_id) AS title_id
    FROM parts
    JOIN contexts USING (context_id)
    GROUP BY parts.session_key, slot
)
SELECT
    slot,
    hash(
        session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type, content_type,
        title_id
    ) AS context_id,
    * EXCLUDE (slot)
FROM blends;

INSERT INTO contexts BY NAME
SELECT DISTINCT * EXCLUDE (slot) FROM blended ANTI JOIN contexts USING (context_id);

UPDATE merged
SET context_id = blended.context_id
FROM blended
WHERE merged.session_key = blended.session_key AND merged.slot = blended.slot;
