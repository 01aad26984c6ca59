-- The days with slices, of the $days up to $through, that have not been learnt.
SELECT day
FROM (
    SELECT unnest(generate_series(
        greatest(
            (SELECT min(slot) FROM slices), CAST($through AS TIMESTAMP) - to_days(CAST($days AS INTEGER) - 1)
        )::DATE::TIMESTAMP,
        CAST($through AS TIMESTAMP),
        INTERVAL 1 DAY
    ))::DATE AS day
)
WHERE day NOT IN (SELECT day FROM learnt_days)
ORDER BY day
