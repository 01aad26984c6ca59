-- Slices whose events come from more than one context.
SELECT count(*) FROM merged_slices WHERE context_id <> other_context_id;
