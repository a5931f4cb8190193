-- Step 10: the table calls, as documented (section 6).
-- Where an earlier down archived it, return.sql brings it back instead.

SELECT callctl.assert_not_archived(10, 'calls');

-- Its foreign keys lock the tables they point at until the transaction ends.
CREATE TABLE IF NOT EXISTS chatapp.calls (
  -- Identity
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id UUID NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  chatbot_id UUID NOT NULL REFERENCES chatapp.chatbots(id) ON DELETE CASCADE,
  end_user_id UUID REFERENCES chatapp.end_users(id) ON DELETE SET NULL,
  conversation_id UUID REFERENCES chatapp.conversations(id) ON DELETE SET NULL,

  -- External References
  call_sid VARCHAR(255) UNIQUE, -- Provider call identifier (Twilio SID, WhatsApp call ID)

  -- Call Routing
  source VARCHAR(50) NOT NULL CHECK (source IN ('web', 'whatsapp', 'twilio', 'custom')),
  direction VARCHAR(20) NOT NULL CHECK (direction IN ('inbound', 'outbound')),

  -- Call Status
  status VARCHAR(50) NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'ringing', 'in_progress', 'completed', 'failed', 'no_answer', 'busy', 'canceled')),

  -- Contact Information
  from_number VARCHAR(50), -- Caller phone number (E.164 format: +15550100)
  to_number VARCHAR(50), -- Recipient phone number

  -- Call Metrics
  duration INTEGER, -- Total call duration in seconds

  -- Recording and Transcription
  recording_url VARCHAR(500), -- URL to call recording (signed URL from Supabase/S3)
  transcript_url VARCHAR(500), -- URL to full transcript JSON file

  -- AI Configuration
  ai_provider VARCHAR(50) CHECK (ai_provider IN ('openai', 'google', 'anthropic')),
  model_id VARCHAR(100), -- AI model identifier used for this call

  -- Integration Reference
  integration_account_id UUID REFERENCES chatapp.integration_accounts(id) ON DELETE SET NULL,

  -- Analysis
  summary TEXT, -- AI-generated call summary
  notes TEXT, -- Admin manual notes
  call_quality INTEGER CHECK (call_quality >= 1 AND call_quality <= 5), -- User rating 1-5
  sentiment_score INTEGER CHECK (sentiment_score >= -100 AND sentiment_score <= 100), -- AI sentiment analysis

  -- Error Tracking
  error_message TEXT, -- Error description if status='failed'
  error_code VARCHAR(50), -- Error categorization code

  -- Timestamps
  started_at TIMESTAMP WITH TIME ZONE, -- Call initiated
  answered_at TIMESTAMP WITH TIME ZONE, -- Call answered (actual start of conversation)
  ended_at TIMESTAMP WITH TIME ZONE, -- Call terminated
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  deleted_at TIMESTAMP WITH TIME ZONE -- Soft delete
);

-- Where chatbots or companies has row-level security, the table has it before anyone can read it.
-- callctl: commit
SELECT callctl.protect_new_table('chatapp.calls'::regclass);

CREATE INDEX IF NOT EXISTS idx_calls_company_id
  ON chatapp.calls(company_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_calls_chatbot_id
  ON chatapp.calls(chatbot_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_calls_end_user_id
  ON chatapp.calls(end_user_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_calls_conversation_id
  ON chatapp.calls(conversation_id)
  WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX IF NOT EXISTS idx_calls_call_sid
  ON chatapp.calls(call_sid)
  WHERE deleted_at IS NULL AND call_sid IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_calls_status
  ON chatapp.calls(status, company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX IF NOT EXISTS idx_calls_date_range
  ON chatapp.calls(company_id, started_at)
  WHERE deleted_at IS NULL AND started_at IS NOT NULL;

CREATE INDEX IF NOT EXISTS idx_calls_integration_account
  ON chatapp.calls(integration_account_id, created_at DESC)
  WHERE deleted_at IS NULL;

DROP TRIGGER IF EXISTS update_calls_updated_at ON chatapp.calls;

CREATE TRIGGER update_calls_updated_at
  BEFORE UPDATE ON chatapp.calls
  FOR EACH ROW
  EXECUTE FUNCTION chatapp.update_updated_at_column();
