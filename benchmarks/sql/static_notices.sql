-- Notices: whoever had a bad session is told at the next step of 15 minutes, once a day.
SELECT
    subscriber_id,
    time_bucket(INTERVAL 15 MINUTES, min(bad_time)) + INTERVAL 15 MINUTES AS decided_time,
    arg_min(signal, bad_time) AS problem
FROM static_sessions
WHERE bad_time >= $start AND bad_time < $end
GROUP BY subscriber_id, bad_time::DATE
ORDER BY ALL
