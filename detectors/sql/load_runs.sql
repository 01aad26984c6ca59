-- The runs that were going on at the end of $day.
SELECT signal, subscriber_id, log_odds, since_slot, impaired, sessions
FROM subscriber_runs
WHERE day = $day
ORDER BY signal, subscriber_id
