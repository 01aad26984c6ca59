-- Slices whose events do not agree on who, what or where: of each property the greatest value that is known (of the
-- subscriber the least), as a context of its own.
CREATE OR REPLACE TEMP TABLE blended AS
WITH parts AS (
    SELECT session_id, slot, context_id FROM fresh_slices
    UNION
    SELECT session_id, slot, context_id FROM touched_slices
),
blends AS (
    SELECT
        parts.session_id, slot, min(subscriber_id) AS subscriber_id, max(country) AS country, max(region) AS region,
        max(isp) AS isp, max(cdn) AS cdn, max(device_type) AS device_type, max(app_version) AS app_version,
        max(connection_type) AS connection_type, max(content_type) AS content_type, max(title_id) AS title_id
    FROM parts
    SEMI JOIN (SELECT session_id, slot FROM merged_slices WHERE context_id <> other_context_id) AS mixed
        USING (session_id, slot)
    JOIN contexts USING (context_id)
    GROUP BY ALL
)
SELECT
    slot,
    context_key(
        session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
        content_type, title_id
    ) AS context_id,
    * EXCLUDE (slot)
FROM blends;

INSERT INTO contexts
SELECT DISTINCT * EXCLUDE (slot) FROM blended ANTI JOIN contexts USING (context_id);

UPDATE merged_slices
SET context_id = blended.context_id
FROM blended
WHERE merged_slices.session_id = blended.session_id AND merged_slices.slot = blended.slot;
