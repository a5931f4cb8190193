-- Fields whose values are all bound from now on, in the transaction that ends the rotation.
-- %(rotation)s, %(relations)s, %(account_types)s, %(paths)s
INSERT INTO callctl.bound_field (relation, account_type, path, rotation)
SELECT f.relation, f.account_type, f.path, %(rotation)s
FROM unnest(%(relations)s::text[], %(account_types)s::text[], %(paths)s::text[]) AS f (relation, account_type, path)
ON CONFLICT (relation, account_type, path) DO NOTHING
