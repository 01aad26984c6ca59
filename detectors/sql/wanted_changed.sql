-- The same stretch for those subscribers of whom the merge of the window that ended at $changed changed any slice.
SELECT *
FROM slices
WHERE slot >= $from - to_hours($memory_hours) AND slot < $to
    AND subscriber_id IN (
        SELECT subscriber_id FROM slices
        WHERE changed_time = $changed AND slot >= $from - to_hours($memory_hours)
    )
