-- How many slices change, how many sessions they belong to, and how many slices have more than one context.
SELECT
    count(*),
    count(DISTINCT session_key),
    count(*) FILTER (WHERE context_id <> other_context_id)
FROM fresh;
