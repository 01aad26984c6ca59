-- Combinations of session, subscriber and dimensions that are new to the warehouse, and the strays.
INSERT INTO contexts BY NAME
SELECT
    context_id, session_key, session_id, subscriber_id,
    nullif(country, '') AS country, nullif(region, '') AS region, nullif(isp, '') AS isp, nullif(cdn, '') AS cdn,
    nullif(device_type, '') AS device_type, nullif(app_version, '') AS app_version,
    nullif(connection_type, '') AS connection_type, nullif(content_type, '') AS content_type,
    nullif(title_id, '') AS title_id
FROM (
    SELECT
        hash(
            session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
            content_type, title_id
        ) AS context_id,
        hash(session_id) AS session_key,
        session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
        content_type, title_id
    FROM incoming
    WHERE NOT $judged OR good
    GROUP BY ALL
)
ANTI JOIN contexts USING (context_id);

INSERT INTO strays
SELECT event_id, occurred_time
FROM event_rows
WHERE batch_id = $batch_id
    AND (event_time < occurred_time - INTERVAL 1 HOUR OR event_time > occurred_time + INTERVAL 1 HOUR);
