-- Step 9: the table integration_accounts, as documented (section 5).
-- Where an earlier down archived it, return.sql brings it back instead.

-- callctl: repeatable
SELECT callctl.make_touch_function(9, 'chatapp'::regnamespace);

SELECT callctl.assert_not_archived(9, 'integration_accounts');

-- Its foreign keys lock the tables they point at until the transaction ends.
CREATE TABLE IF NOT EXISTS chatapp.integration_accounts (
  -- Identity
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id UUID NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,

  -- Account Configuration
  account_type VARCHAR(50) NOT NULL CHECK (account_type IN ('twilio', 'whatsapp', 'custom')),
  account_name VARCHAR(255) NOT NULL, -- User-friendly name (e.g., "Main Support Line")
  description TEXT, -- Optional admin notes

  -- Credentials (encrypted JSONB storage)
  credentials JSONB NOT NULL, -- Provider-specific credentials (encrypted)
  access_token TEXT, -- For OAuth integrations
  refresh_token TEXT, -- For token refresh
  token_expires_at TIMESTAMP WITH TIME ZONE, -- Token expiration

  -- Webhook Configuration
  webhook_url VARCHAR(500) UNIQUE, -- System-generated webhook endpoint
  webhook_secret VARCHAR(255), -- For HMAC signature verification

  -- Health Monitoring
  status VARCHAR(50) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'error', 'pending')),
  is_active BOOLEAN NOT NULL DEFAULT true,
  last_error TEXT, -- Last error message from provider
  last_error_at TIMESTAMP WITH TIME ZONE,
  last_verified_at TIMESTAMP WITH TIME ZONE, -- Last successful connection test

  -- Audit
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  deleted_at TIMESTAMP WITH TIME ZONE -- Soft delete
);

-- Where chatbots or companies has row-level security, the table has it before anyone can read it.
-- callctl: commit
SELECT callctl.protect_new_table('chatapp.integration_accounts'::regclass);

CREATE INDEX IF NOT EXISTS idx_integration_accounts_company_id
  ON chatapp.integration_accounts(company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_integration_accounts_account_type
  ON chatapp.integration_accounts(account_type, company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_integration_accounts_status
  ON chatapp.integration_accounts(status)
  WHERE deleted_at IS NULL AND status = 'error';

CREATE UNIQUE INDEX IF NOT EXISTS idx_integration_accounts_webhook_url
  ON chatapp.integration_accounts(webhook_url)
  WHERE deleted_at IS NULL AND webhook_url IS NOT NULL;

DROP TRIGGER IF EXISTS update_integration_accounts_updated_at ON chatapp.integration_accounts;

CREATE TRIGGER update_integration_accounts_updated_at
  BEFORE UPDATE ON chatapp.integration_accounts
  FOR EACH ROW
  EXECUTE FUNCTION chatapp.update_updated_at_column();
