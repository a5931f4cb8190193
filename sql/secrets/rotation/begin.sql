-- A rotation, unless one is under way. %(to_key)s, %(binding)s, %(fields)s, %(client)s, %(version)s
INSERT INTO callctl.rotation (kind, to_key, binding, fields, client, callctl_version)
VALUES ('credentials', %(to_key)s, %(binding)s, %(fields)s, %(client)s, %(version)s)
ON CONFLICT (kind) WHERE finished_at IS NULL DO NOTHING
RETURNING id
