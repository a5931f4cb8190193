-- Webhook secrets that were replaced, kept encrypted for as long as they can be put back.

CREATE TABLE IF NOT EXISTS callctl.kept_webhook_secret (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  rotation bigint NOT NULL REFERENCES callctl.rotation,
  account_id uuid NOT NULL,
  company_id uuid NOT NULL,
  webhook_secret text NOT NULL,
  left_there text NOT NULL,
  kept_at timestamp with time zone NOT NULL DEFAULT now(),
  keep_until timestamp with time zone NOT NULL
);
DO $$ BEGIN
  IF to_regclass('callctl.kept_webhook_secret_account') IS NULL THEN
    CREATE INDEX kept_webhook_secret_account ON callctl.kept_webhook_secret (account_id);
  END IF;
END $$;
COMMENT ON INDEX callctl.kept_webhook_secret_account IS 'Kept secrets of one account';
COMMENT ON TABLE callctl.kept_webhook_secret IS
  'Webhook secrets that were replaced, encrypted, for as long as they can be put back; the next run that writes removes the others';
COMMENT ON COLUMN callctl.kept_webhook_secret.id IS 'Order in which they were replaced';
COMMENT ON COLUMN callctl.kept_webhook_secret.rotation IS 'The run that replaced it';
COMMENT ON COLUMN callctl.kept_webhook_secret.account_id IS 'Primary key of the integration account';
COMMENT ON COLUMN callctl.kept_webhook_secret.company_id IS 'Whose account it was then; the envelope is bound to both';
COMMENT ON COLUMN callctl.kept_webhook_secret.webhook_secret IS 'The replaced secret, as the JSON text of an envelope; never in plaintext';
COMMENT ON COLUMN callctl.kept_webhook_secret.left_there IS
  'SHA-256, in hex, of the random secret in its place; the kept one is restored only if that is still stored';
COMMENT ON COLUMN callctl.kept_webhook_secret.kept_at IS 'Time of the replacement';
COMMENT ON COLUMN callctl.kept_webhook_secret.keep_until IS 'Until when it can be put back';
