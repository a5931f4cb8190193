-- The fields that one rotation was the first to bind. %(rotation)s
SELECT relation, account_type, path FROM callctl.bound_field WHERE rotation = %(rotation)s ORDER BY relation, account_type, path
