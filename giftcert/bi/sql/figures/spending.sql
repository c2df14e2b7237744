SELECT counted_by(grouping(day), grouping(channel), grouping(product)) AS counted_by,
    coalesce(CAST(day AS VARCHAR), channel, product) AS key, currency,
    count(*) FILTER (event_type = 'redemption.captured') AS purchases, sum(spent) AS spent, sum(restored) AS restored,
    sum(spent) - sum(restored) AS redeemed, sum(goods_uncovered) AS goods_uncovered
FROM money
WHERE event_type IN ('redemption.captured', 'redemption.restored', 'alert.redemptionUncovered')
    AND day BETWEEN first_day() AND last_day()
GROUP BY GROUPING SETS ((currency), (currency, day), (currency, channel), (currency, product))
ORDER BY currency, place_of(counted_by), key
