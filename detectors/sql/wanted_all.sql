-- Every slice from $from, and the $memory_hours hours before, to $to (exclusive).
SELECT *
FROM slices
WHERE slot >= $from - to_hours($memory_hours) AND slot < $to
