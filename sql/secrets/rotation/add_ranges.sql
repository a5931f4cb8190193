-- The ranges of one target, in the transaction that begins the rotation. %(rotation)s, %(target)s, %(above)s, %(up_to)s, %(rows)s
INSERT INTO callctl.rotation_range (rotation, target, above, up_to, row_count)
SELECT %(rotation)s, %(target)s, r.above, r.up_to, r.row_count
FROM unnest(%(above)s::text[], %(up_to)s::text[], %(rows)s::bigint[]) AS r (above, up_to, row_count)
