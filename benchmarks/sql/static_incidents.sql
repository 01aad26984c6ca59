-- Incidents: a value of one dimension alarms at a step of 15 minutes when in the hour before at least $least sessions
-- turned bad in one signal and these are more than $share of the sessions begun. Steps in a row are one incident.
WITH cohorts AS (
    UNPIVOT static_sessions
    ON country, region, isp, cdn, device_type, app_version, connection_type, content_type, title_id
    INTO NAME dimension VALUE member
),
steps AS (
    SELECT unnest(generate_series($start::TIMESTAMP, $end::TIMESTAMP, INTERVAL 15 MINUTES)) AS step
),
bad AS (
    SELECT dimension, member, signal, step, count(*) AS bad
    FROM cohorts
    JOIN steps ON bad_time >= step - INTERVAL 1 HOUR AND bad_time < step
    GROUP BY ALL
    HAVING count(*) >= $least
),
begun AS (
    SELECT dimension, member, step, count(*) AS begun
    FROM cohorts
    JOIN steps ON seen_time >= step - INTERVAL 1 HOUR AND seen_time < step
    GROUP BY ALL
),
alarms AS (
    SELECT
        dimension, member, signal, step,
        step - INTERVAL 15 MINUTES * row_number() OVER (PARTITION BY dimension, member, signal ORDER BY step) AS island
    FROM bad
    JOIN begun USING (dimension, member, step)
    WHERE bad > $share * begun
)
SELECT
    signal, dimension, member,
    min(step) AS detected_time,
    CASE WHEN max(step) + INTERVAL 15 MINUTES <= $end THEN max(step) + INTERVAL 15 MINUTES END AS resolved_time
FROM alarms
GROUP BY dimension, member, signal, island
ORDER BY ALL
