-- The rows on which two soft-delete columns of a table disagree: how many, and up to five of their ids.
SELECT count(*), (array_agg(coalesce(to_jsonb(t) ->> 'id', t.ctid::text) ORDER BY to_jsonb(t) ->> 'id'))[1:5]
FROM {relation} AS t
WHERE (t.{one} IS NULL) <> (t.{other} IS NULL)
