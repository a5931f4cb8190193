-- Add the history row of a step, and return its id.
-- %(step)s, %(direction)s, %(file)s, %(sha256)s, %(started_at)s, %(client)s, %(version)s, %(adopted)s
INSERT INTO callctl.history (step, direction, file, sha256, started_at, client, callctl_version, adopted)
VALUES (%(step)s, %(direction)s, %(file)s, %(sha256)s, %(started_at)s, %(client)s, %(version)s, %(adopted)s)
RETURNING id
