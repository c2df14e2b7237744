WITH found AS (
    SELECT day, channel, product, event_type, json_extract_string(payload, '$.reason') AS reason, recorded_at
    FROM events
    WHERE (event_type LIKE 'alert.%' OR event_type LIKE 'error.%') AND day BETWEEN first_day() AND last_day()
)
SELECT CASE WHEN grouping(event_type) = 0 THEN 'type'
        ELSE counted_by(grouping(day), grouping(channel), grouping(product)) END AS counted_by,
    coalesce(event_type || coalesce(': ' || reason, ''), CAST(day AS VARCHAR), channel, product) AS key,
    count(*) FILTER (event_type LIKE 'alert.%') AS alerts, count(*) FILTER (event_type LIKE 'error.%') AS errors,
    max(recorded_at) AS latest
FROM found
GROUP BY GROUPING SETS ((), (event_type, reason), (day), (channel), (product))
HAVING count(*) > 0
ORDER BY list_position(['all', 'type', 'day', 'channel', 'product'], counted_by), key
