-- A row of the audit trail. %(command)s, %(detail)s, %(client)s, %(version)s
INSERT INTO callctl.action (command, detail, client, callctl_version)
VALUES (%(command)s, %(detail)s::jsonb, %(client)s, %(version)s)
RETURNING id
