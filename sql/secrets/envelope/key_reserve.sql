-- Counts encryptions under a key before they are made; negative for those counted and not made. No row where the
-- key is retired, or has none left. %(id)s, %(encryptions)s, %(most)s
UPDATE callctl.encryption_key SET encryptions = encryptions + %(encryptions)s
WHERE id = %(id)s AND (retired_at IS NULL OR %(encryptions)s < 0) AND encryptions + %(encryptions)s <= %(most)s
RETURNING encryptions
