-- How many events are fresh, how many sessions they belong to, and how many slices have more than one context.
SELECT
    (SELECT coalesce(sum(events), 0) FROM fresh),
    count(DISTINCT session_key),
    count(*) FILTER (WHERE context_id <> other_context_id)
FROM merged;
