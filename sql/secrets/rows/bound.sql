-- The fields that are bound.
SELECT relation, account_type, path FROM callctl.bound_field
