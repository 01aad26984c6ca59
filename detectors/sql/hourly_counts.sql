-- Exposures and impairments by hour and finest cohort from $from (inclusive) to $to (exclusive).
SELECT *
FROM cohort_hours
WHERE hour >= $from AND hour < $to
ORDER BY ALL
