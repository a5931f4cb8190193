-- Values left as they were, in the transaction that passed them. %(rotation)s, %(relation)s, %(rows)s, %(paths)s, %(reasons)s
INSERT INTO callctl.rotation_failure (rotation, relation, row_id, path, reason)
SELECT %(rotation)s, %(relation)s, f.row_id, f.path, f.reason
FROM unnest(%(rows)s::text[], %(paths)s::text[], %(reasons)s::text[]) AS f (row_id, path, reason)
