-- Combinations of session, subscriber and dimensions that are new to the warehouse, and the strays.
INSERT INTO contexts BY NAME
SELECT *
FROM (
    SELECT
        hash(
            session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
            content_type, title_id
        ) AS context_id,
        hash(any_value(session_id)) AS session_key,
        any_value(session_id) AS session_id,
        any_value(subscriber_id) AS subscriber_id,
        nullif(any_value(country), '') AS country,
        nullif(any_value(region), '') AS region,
        nullif(any_value(isp), '') AS isp,
        nullif(any_value(cdn), '') AS cdn,
        nullif(any_value(device_type), '') AS device_type,
        nullif(any_value(app_version), '') AS app_version,
        nullif(any_value(connection_type), '') AS connection_type,
        nullif(any_value(content_type), '') AS content_type,
        nullif(any_value(title_id), '') AS title_id
    FROM incoming
    WHERE NOT $judged OR good
    GROUP BY context_id
)
ANTI JOIN contexts USING (context_id);

INSERT INTO strays
SELECT event_id, occurred_time
FROM event_rows
WHERE batch_id = $batch_id
    AND (event_time < occurred_time - INTERVAL 1 HOUR OR event_time > occurred_time + INTERVAL 1 HOUR);
