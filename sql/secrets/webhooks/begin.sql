-- The ledger's row of a run about webhook secrets. %(kind)s, %(to_key)s, %(scope)s, %(client)s, %(version)s
INSERT INTO callctl.rotation (kind, to_key, fields, client, callctl_version)
VALUES (%(kind)s, %(to_key)s, %(scope)s, %(client)s, %(version)s)
RETURNING id, started_at
