-- Updates 1 % of the products, chosen at random: price and time of change. No update is HOT, because the time is indexed:
-- a new row, and an entry in each of the five indexes of the table. Seeded: the same rows for the same `seed`.
SELECT setseed(:seed);
UPDATE products SET price = round(price * 1.01, 2), updated_at = updated_at + interval '1 day'
 WHERE id = ANY (ARRAY(SELECT 1 + floor(random() * n)::bigint
                         FROM (SELECT max(id) AS n FROM products) AS all_of, generate_series(1, greatest(1, n / 100))));
CHECKPOINT;
