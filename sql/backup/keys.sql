-- The ids of the keys that were used here; what is under them opens with them alone.
SELECT id FROM callctl.encryption_key ORDER BY id
