SELECT counted_by(grouping(day), grouping(sale_channel), grouping(product)) AS counted_by,
    coalesce(CAST(day AS VARCHAR), sale_channel, product) AS key, currency,
    sum(issued) AS issued, sum(sold) AS sold, sum(discount) AS discount, sum(refunded) AS refunded,
    sum(sold) - sum(refunded) AS revenue
FROM money
WHERE event_type IN ('issue.completed', 'refund.completed') AND day BETWEEN first_day() AND last_day()
GROUP BY GROUPING SETS ((currency), (currency, day), (currency, sale_channel), (currency, product))
ORDER BY currency, place_of(counted_by), key
