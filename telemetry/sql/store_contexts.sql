-- Combinations of session, subscriber and dimensions that are new to the warehouse.
INSERT INTO contexts
SELECT found.*
FROM (
    SELECT
        context_key(
            session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
            content_type, title_id
        ) AS context_id,
        session_id, subscriber_id, country, region, isp, cdn, device_type, app_version, connection_type,
        content_type, title_id
    FROM incoming
    WHERE problem IS NULL
    GROUP BY ALL
) AS found
ANTI JOIN contexts USING (context_id);
