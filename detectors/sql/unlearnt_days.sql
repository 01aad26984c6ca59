-- The days since the first slice, of the $days up to $through, that have not been learnt; none where there is no slice.
SELECT day
FROM (
    SELECT unnest(generate_series(
        greatest(
            coalesce((SELECT min(slot) FROM slices), CAST($through AS TIMESTAMP) + INTERVAL 1 DAY),
            CAST($through AS TIMESTAMP) - to_days(CAST($days AS INTEGER) - 1)
        )::DATE::TIMESTAMP,
        CAST($through AS TIMESTAMP),
        INTERVAL 1 DAY
    ))::DATE AS day
)
WHERE day NOT IN (SELECT day FROM learnt_days)
ORDER BY day
