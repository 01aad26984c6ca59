-- Where copies of this file's events may be stored, as ranges of occurred_time, so that the look-up reads that part
-- of history and no more. A copy has the same event_time; unless it is a stray, it occurred within an hour of it.
-- Hours that follow each other, with gaps of up to six, make one range; ranges in which nothing is stored are dropped.
WITH stored AS (
    SELECT
        min_received - INTERVAL 13 HOURS AS from_time, max_received + INTERVAL 1 HOUR AS until_time
    FROM batches
    WHERE min_received IS NOT NULL
),
hours AS (
    SELECT DISTINCT time_bucket(INTERVAL 1 HOUR, event_time) AS hour
    FROM arriving_ids
    WHERE event_time BETWEEN (SELECT min(from_time) FROM stored) AND (SELECT max(until_time) FROM stored)
    UNION
    SELECT DISTINCT time_bucket(INTERVAL 1 HOUR, strays.occurred_time)
    FROM strays
    SEMI JOIN arriving_ids ON hash(strays.event_id) = event_key
),
marked AS (
    SELECT hour, coalesce(hour - lag(hour) OVER (ORDER BY hour) > INTERVAL 6 HOURS, true) AS starts FROM hours
),
numbered AS (
    SELECT hour, count(*) FILTER (WHERE starts) OVER (ORDER BY hour) AS island FROM marked
),
ranges AS (
    SELECT min(hour) - INTERVAL 1 HOUR AS from_time, max(hour) + INTERVAL 2 HOURS AS until_time
    FROM numbered
    GROUP BY island
)
SELECT from_time, until_time
FROM ranges
WHERE EXISTS (FROM stored WHERE stored.from_time < ranges.until_time AND stored.until_time >= ranges.from_time)
ORDER BY from_time;
