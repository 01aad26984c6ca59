-- Keep the runs that are going on at the end of $day.
INSERT INTO subscriber_runs
SELECT $day, $signal, subscriber_id, log_odds, since_slot, impaired, sessions
FROM runs
