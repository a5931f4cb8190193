-- A key that no value is under any more. %(id)s, %(check_value)s: for one that callctl has not met here
INSERT INTO callctl.encryption_key (id, check_value, retired_at) VALUES (%(id)s, %(check_value)s, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET retired_at = coalesce(encryption_key.retired_at, EXCLUDED.retired_at)
RETURNING retired_at
