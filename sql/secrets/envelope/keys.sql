-- The keys that callctl has met here.
SELECT id, check_value, first_used_at, retired_at, encryptions FROM callctl.encryption_key ORDER BY first_used_at, id
