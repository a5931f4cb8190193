-- The ranges of a rotation that are not done. %(rotation)s
SELECT id FROM callctl.rotation_range WHERE rotation = %(rotation)s AND finished_at IS NULL ORDER BY id
