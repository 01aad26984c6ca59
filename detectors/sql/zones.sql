-- How many subscribers of each place live in each time zone.
SELECT country, region, timezone, count(*) AS people
FROM subscribers
WHERE country IS NOT NULL AND timezone IS NOT NULL
GROUP BY ALL
ORDER BY people, country, region, timezone
