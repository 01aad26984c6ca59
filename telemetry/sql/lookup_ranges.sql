-- Where copies of this file's events may be stored, as ranges of occurred_time, so that the look-up reads that part
-- of history and no more. A copy has the same event_time; unless it is a stray, it occurred within an hour of it.
-- Hours that follow each other, with gaps of up to six, make one range. A range in which nothing is stored is dropped.
WITH hours AS (
    SELECT DISTINCT time_bucket(INTERVAL 1 HOUR, event_time) AS hour FROM event_rows WHERE batch_id = $batch_id
    UNION
    SELECT DISTINCT time_bucket(INTERVAL 1 HOUR, strays.occurred_time)
    FROM strays
    WHERE event_id IN (SELECT event_id FROM event_rows WHERE batch_id = $batch_id)
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
WHERE EXISTS (
    SELECT 1
    FROM batches
    WHERE table_name = 'playback' AND accepted > 0
        AND min_received - INTERVAL 12 HOURS < until_time AND max_received >= from_time
)
ORDER BY from_time;
