-- The specification's own statements, as an operator would paste them into psql, in its order.

ALTER TABLE chatapp.users ALTER COLUMN avatar_url TYPE TEXT;

ALTER TABLE chatapp.chatbot_packages
  ADD COLUMN enable_chat BOOLEAN NOT NULL DEFAULT true, ADD COLUMN enable_call BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE chatapp.chatbots
  ADD COLUMN enabled_chat BOOLEAN NOT NULL DEFAULT true, ADD COLUMN enabled_call BOOLEAN NOT NULL DEFAULT false;

UPDATE chatapp.chatbot_packages
SET enable_chat = CASE WHEN chatbotType = 'chat' THEN true WHEN chatbotType = 'call' THEN false ELSE true END,
    enable_call = CASE WHEN chatbotType = 'call' THEN true WHEN chatbotType = 'chat' THEN false ELSE false END
WHERE deletedAt IS NULL;
UPDATE chatapp.chatbots
SET enabled_chat = CASE WHEN chatbotType = 'chat' THEN true WHEN chatbotType = 'call' THEN false ELSE true END,
    enabled_call = CASE WHEN chatbotType = 'call' THEN true WHEN chatbotType = 'chat' THEN false ELSE false END
WHERE deletedAt IS NULL;

ALTER TABLE chatapp.chatbot_packages
  ADD CONSTRAINT chatbot_packages_capability_check CHECK (enable_chat = true OR enable_call = true);
ALTER TABLE chatapp.chatbots
  ADD CONSTRAINT chatbots_capability_check CHECK (enabled_chat = true OR enabled_call = true);
CREATE INDEX idx_chatbot_packages_capabilities
ON chatapp.chatbot_packages(enable_chat, enable_call) WHERE deletedAt IS NULL;
CREATE INDEX idx_chatbots_capabilities ON chatapp.chatbots(enabled_chat, enabled_call) WHERE deletedAt IS NULL;
CREATE INDEX idx_chatbots_company_capabilities
ON chatapp.chatbots(company_id, enabled_chat, enabled_call) WHERE deletedAt IS NULL;

ALTER TABLE chatapp.chatbot_packages DROP COLUMN chatbotType;
ALTER TABLE chatapp.chatbots DROP COLUMN chatbotType;

ALTER TABLE chatapp.ai_models ADD COLUMN model_type VARCHAR(20) NOT NULL DEFAULT 'chat';
ALTER TABLE chatapp.ai_models
  ADD CONSTRAINT ai_models_model_type_check CHECK (model_type IN ('chat', 'call', 'both'));
UPDATE chatapp.ai_models SET model_type = 'chat' WHERE model_type IS NULL;
CREATE INDEX idx_ai_models_model_type ON chatapp.ai_models(model_type, provider) WHERE deletedAt IS NULL;

CREATE TABLE chatapp.integration_accounts (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id UUID NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  account_type VARCHAR(50) NOT NULL CHECK (account_type IN ('twilio', 'whatsapp', 'custom')),
  account_name VARCHAR(255) NOT NULL,
  description TEXT,
  credentials JSONB NOT NULL,
  access_token TEXT,
  refresh_token TEXT,
  token_expires_at TIMESTAMP WITH TIME ZONE,
  webhook_url VARCHAR(500) UNIQUE,
  webhook_secret VARCHAR(255),
  status VARCHAR(50) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive', 'error', 'pending')),
  is_active BOOLEAN NOT NULL DEFAULT true,
  last_error TEXT,
  last_error_at TIMESTAMP WITH TIME ZONE,
  last_verified_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  deleted_at TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_integration_accounts_company_id
  ON chatapp.integration_accounts(company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_integration_accounts_account_type
  ON chatapp.integration_accounts(account_type, company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_integration_accounts_status
  ON chatapp.integration_accounts(status)
  WHERE deleted_at IS NULL AND status = 'error';

CREATE UNIQUE INDEX idx_integration_accounts_webhook_url
  ON chatapp.integration_accounts(webhook_url)
  WHERE deleted_at IS NULL AND webhook_url IS NOT NULL;

CREATE TRIGGER update_integration_accounts_updated_at BEFORE UPDATE ON chatapp.integration_accounts
  FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();

CREATE TABLE chatapp.calls (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id UUID NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  chatbot_id UUID NOT NULL REFERENCES chatapp.chatbots(id) ON DELETE CASCADE,
  end_user_id UUID REFERENCES chatapp.end_users(id) ON DELETE SET NULL,
  conversation_id UUID REFERENCES chatapp.conversations(id) ON DELETE SET NULL,
  call_sid VARCHAR(255) UNIQUE,
  source VARCHAR(50) NOT NULL CHECK (source IN ('web', 'whatsapp', 'twilio', 'custom')),
  direction VARCHAR(20) NOT NULL CHECK (direction IN ('inbound', 'outbound')),
  status VARCHAR(50) NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'ringing', 'in_progress', 'completed', 'failed', 'no_answer', 'busy', 'canceled')),
  from_number VARCHAR(50),
  to_number VARCHAR(50),
  duration INTEGER,
  recording_url VARCHAR(500),
  transcript_url VARCHAR(500),
  ai_provider VARCHAR(50) CHECK (ai_provider IN ('openai', 'google', 'anthropic')),
  model_id VARCHAR(100),
  integration_account_id UUID REFERENCES chatapp.integration_accounts(id) ON DELETE SET NULL,
  summary TEXT,
  notes TEXT,
  call_quality INTEGER CHECK (call_quality >= 1 AND call_quality <= 5),
  sentiment_score INTEGER CHECK (sentiment_score >= -100 AND sentiment_score <= 100),
  error_message TEXT,
  error_code VARCHAR(50),
  started_at TIMESTAMP WITH TIME ZONE,
  answered_at TIMESTAMP WITH TIME ZONE,
  ended_at TIMESTAMP WITH TIME ZONE,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
  deleted_at TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_calls_company_id
  ON chatapp.calls(company_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_calls_chatbot_id
  ON chatapp.calls(chatbot_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_calls_end_user_id
  ON chatapp.calls(end_user_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_calls_conversation_id
  ON chatapp.calls(conversation_id)
  WHERE deleted_at IS NULL;

CREATE UNIQUE INDEX idx_calls_call_sid
  ON chatapp.calls(call_sid)
  WHERE deleted_at IS NULL AND call_sid IS NOT NULL;

CREATE INDEX idx_calls_status
  ON chatapp.calls(status, company_id)
  WHERE deleted_at IS NULL;

CREATE INDEX idx_calls_date_range
  ON chatapp.calls(company_id, started_at)
  WHERE deleted_at IS NULL AND started_at IS NOT NULL;

CREATE INDEX idx_calls_integration_account
  ON chatapp.calls(integration_account_id, created_at DESC)
  WHERE deleted_at IS NULL;

CREATE TRIGGER update_calls_updated_at BEFORE UPDATE ON chatapp.calls
  FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();

CREATE TABLE chatapp.call_transcripts (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  call_id UUID NOT NULL REFERENCES chatapp.calls(id) ON DELETE CASCADE,
  role VARCHAR(20) NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content TEXT NOT NULL,
  start_time INTEGER NOT NULL,
  end_time INTEGER NOT NULL,
  duration INTEGER NOT NULL,
  audio_url VARCHAR(500),
  confidence DECIMAL(5,4) CHECK (confidence >= 0.0 AND confidence <= 1.0),
  metadata JSONB,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

CREATE INDEX idx_call_transcripts_call_id
  ON chatapp.call_transcripts(call_id, start_time ASC);

CREATE INDEX idx_call_transcripts_role
  ON chatapp.call_transcripts(call_id, role);

CREATE INDEX idx_call_transcripts_content_search
  ON chatapp.call_transcripts USING GIN(to_tsvector('english', content));

UPDATE chatapp.companies
SET settings = jsonb_set(settings, '{features,callEnabled}', 'false'::jsonb, true)
WHERE settings->'features' IS NOT NULL AND jsonb_typeof(settings->'features') = 'object' AND deleted_at IS NULL;
UPDATE chatapp.companies
SET settings = jsonb_set(COALESCE(settings, '{}'::jsonb), '{features}', jsonb_build_object('callEnabled', false), true)
WHERE settings->'features' IS NULL AND deleted_at IS NULL;

UPDATE chatapp.chatbots
SET settings = jsonb_set(
  COALESCE(settings, '{}'::jsonb),
  '{call}',
  '{
    "voiceId": "alloy",
    "voiceProvider": "openai",
    "voiceSettings": {
      "pitch": 0,
      "speed": 1.0,
      "stability": 0.5
    },
    "callGreeting": "Hi, I''m your AI assistant. How can I help you today?",
    "endCallPhrase": "goodbye",
    "silenceTimeout": 180,
    "maxCallDuration": 600,
    "recordingEnabled": false,
    "transcriptionEnabled": true,
    "interruptionEnabled": true,
    "callButtonText": "Call Us",
    "callButtonColor": "#22C55E",
    "callButtonPosition": "bottom-right",
    "vadThreshold": 0.5,
    "echoCancellation": true,
    "noiseSuppression": true
  }'::jsonb,
  true
)
WHERE enabled_call = true
  AND (settings->'call' IS NULL OR settings->'call' = '{}'::jsonb)
  AND deletedAt IS NULL;

INSERT INTO chatapp.ai_models (
  id,
  provider,
  model_type,
  model_name,
  display_name,
  description,
  supports_audio,
  input_cost_per_token,
  output_cost_per_token,
  audio_cost_per_second_input,
  audio_cost_per_second_output,
  context_window,
  max_output_tokens,
  created_at,
  updated_at
) VALUES
(
  gen_random_uuid(),
  'openai',
  'call',
  'gpt-4o-realtime-preview-2024-10-01',
  'GPT-4 Realtime (Oct 2024)',
  'OpenAI Realtime API for low-latency voice conversations with natural interruption handling and function calling support',
  true,
  0.000005,
  0.000020,
  0.10,
  0.20,
  128000,
  4096,
  NOW(),
  NOW()
),
(
  gen_random_uuid(),
  'openai',
  'call',
  'gpt-4o-realtime-preview',
  'GPT-4 Realtime (Latest)',
  'Latest version of OpenAI Realtime API (auto-updates to newest model)',
  true,
  0.000005,
  0.000020,
  0.10,
  0.20,
  128000,
  4096,
  NOW(),
  NOW()
);

INSERT INTO chatapp.ai_models (
  id,
  provider,
  model_type,
  model_name,
  display_name,
  description,
  supports_audio,
  input_cost_per_token,
  output_cost_per_token,
  audio_cost_per_second_input,
  audio_cost_per_second_output,
  context_window,
  max_output_tokens,
  created_at,
  updated_at
) VALUES
(
  gen_random_uuid(),
  'google',
  'call',
  'gemini-2.0-flash-exp',
  'Gemini 2.0 Flash Live (Experimental)',
  'Google experimental multimodal model with real-time voice capabilities and low latency',
  true,
  0.00000075,
  0.0000030,
  0.05,
  0.10,
  1000000,
  8192,
  NOW(),
  NOW()
);
