WITH live AS (
    SELECT product, sale_channel, currency, balance, held,
        date_diff('day', local_day(issued_at), local_day((SELECT max(read_until) FROM loads))) AS days
    FROM certificates WHERE balance + held > 0
), aged AS (
    SELECT *, CASE WHEN days <= 30 THEN '0-30' WHEN days <= 90 THEN '31-90' WHEN days <= 180 THEN '91-180'
        WHEN days <= 365 THEN '181-365' ELSE '366+' END AS age
    FROM live
)
SELECT CASE WHEN grouping(age) = 0 THEN 'age' ELSE counted_by(1, grouping(sale_channel), grouping(product)) END
        AS counted_by,
    coalesce(age, sale_channel, product) AS key, currency,
    count(*) AS certificates, sum(balance) AS balance, sum(held) AS held, sum(balance + held) AS liability
FROM aged
GROUP BY GROUPING SETS ((currency), (currency, age), (currency, sale_channel), (currency, product))
ORDER BY currency, list_position(['all', 'age', 'channel', 'product'], counted_by), min(days), key
