-- What each range of a rotation has counted. %(rotation)s
SELECT counts, failures FROM callctl.rotation_range WHERE rotation = %(rotation)s ORDER BY id
