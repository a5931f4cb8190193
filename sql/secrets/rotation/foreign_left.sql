-- What a rotation left because it has the form of another tool's ciphertext: where, how many are listed, the first rows. %(rotation)s
SELECT relation, path, reason, count(*)::integer, (array_agg(row_id ORDER BY id))[1:5]
FROM callctl.rotation_failure
WHERE rotation = %(rotation)s AND starts_with(reason, 'foreign: ')
GROUP BY relation, path, reason
ORDER BY min(id)
