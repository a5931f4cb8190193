-- The rotation of the credentials that is under way, and where it wants to go.
SELECT id, to_key, binding, fields, client FROM callctl.rotation WHERE kind = 'credentials' AND finished_at IS NULL
