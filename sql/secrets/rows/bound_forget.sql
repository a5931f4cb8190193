-- Fields that an operator wants unbound, in the transaction that begins the rotation. %(relations)s, %(account_types)s, %(paths)s
DELETE FROM callctl.bound_field AS b
USING unnest(%(relations)s::text[], %(account_types)s::text[], %(paths)s::text[]) AS f (relation, account_type, path)
WHERE b.relation = f.relation AND b.account_type = f.account_type AND b.path = f.path
