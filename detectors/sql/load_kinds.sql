-- How many sessions of each kind there were over the days from $from to $to.
SELECT kind, CAST(sum(sessions) AS BIGINT) AS sessions, CAST(sum(exposed) AS BIGINT) AS exposed
FROM session_kinds
WHERE day BETWEEN $from AND $to
GROUP BY kind
ORDER BY kind
