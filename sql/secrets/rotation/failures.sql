-- What a rotation left as it was. %(rotation)s, %(rows)s
SELECT relation, row_id, path, reason FROM callctl.rotation_failure
WHERE rotation = %(rotation)s ORDER BY id LIMIT %(rows)s
