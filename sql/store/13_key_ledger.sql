-- The key ledger: the encryption keys that callctl used or met in this database, by id and check value. Never a key itself.

CREATE TABLE IF NOT EXISTS callctl.encryption_key (
  id text PRIMARY KEY,
  check_value text NOT NULL,
  first_used_at timestamp with time zone NOT NULL DEFAULT now(),
  retired_at timestamp with time zone,
  encryptions bigint NOT NULL DEFAULT 0 CHECK (encryptions >= 0)
);
COMMENT ON TABLE callctl.encryption_key IS 'The keys that callctl has met here, by what it is safe to know of them; never a key itself';
COMMENT ON COLUMN callctl.encryption_key.id IS 'The id of callctl.yaml, which is the kid of the values';
COMMENT ON COLUMN callctl.encryption_key.check_value IS 'Tells a wrong key of this id from the right one: made from the key, and says nothing of it';
COMMENT ON COLUMN callctl.encryption_key.first_used_at IS 'Time of the first write of callctl with this key in its ring';
COMMENT ON COLUMN callctl.encryption_key.retired_at IS 'Time at which keys retire found no value under the key; callctl encrypts nothing with it after that';
COMMENT ON COLUMN callctl.encryption_key.encryptions IS
  'Encryptions by callctl under this key in this database, counted before they are made; not those of the application';
