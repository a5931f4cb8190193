-- The platform's schema as the specification's own SQL implies it: the database before the call feature.
-- Identifiers are unquoted, so chatbotType is chatbottype and deletedAt is deletedat.

CREATE SCHEMA chatapp;

CREATE FUNCTION chatapp.update_updated_at_column() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END;
$$;

COMMENT ON FUNCTION chatapp.update_updated_at_column() IS 'Sets updated_at on every update of a row';

CREATE TABLE chatapp.companies (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name varchar(255) NOT NULL,
  slug varchar(100) NOT NULL UNIQUE,
  plan varchar(50) NOT NULL DEFAULT 'free',
  status varchar(20) NOT NULL DEFAULT 'active',
  settings jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE chatapp.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  email varchar(255) NOT NULL,
  full_name varchar(255),
  role varchar(30) NOT NULL DEFAULT 'company_member',
  avatar_url varchar(500),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);

CREATE TABLE chatapp.chatbot_packages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name varchar(255) NOT NULL,
  description text,
  chatbotType varchar(50) DEFAULT 'chat',
  monthly_price numeric(10,2) NOT NULL DEFAULT 0,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deletedAt timestamptz
);

CREATE TABLE chatapp.ai_models (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  provider text NOT NULL,
  model_name text NOT NULL,
  display_name text NOT NULL,
  description text,
  supports_audio boolean NOT NULL DEFAULT false,
  input_cost_per_token numeric(18,12),
  output_cost_per_token numeric(18,12),
  audio_cost_per_second_input numeric(12,6),
  audio_cost_per_second_output numeric(12,6),
  context_window integer,
  max_output_tokens integer,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deletedAt timestamptz
);

CREATE TABLE chatapp.chatbots (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  package_id uuid REFERENCES chatapp.chatbot_packages(id) ON DELETE SET NULL,
  ai_model_id uuid REFERENCES chatapp.ai_models(id),
  name varchar(255) NOT NULL,
  chatbotType varchar(50) DEFAULT 'chat',
  system_prompt text,
  settings jsonb,
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deletedAt timestamptz
);

COMMENT ON COLUMN chatapp.chatbots.chatbotType IS 'chat or call';

CREATE TABLE chatapp.end_users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  name varchar(255),
  email varchar(255),
  phone varchar(50),
  channel varchar(20) NOT NULL DEFAULT 'web',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chatapp.conversations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  chatbot_id uuid NOT NULL REFERENCES chatapp.chatbots(id) ON DELETE CASCADE,
  end_user_id uuid REFERENCES chatapp.end_users(id) ON DELETE SET NULL,
  channel varchar(20) NOT NULL DEFAULT 'web',
  status varchar(20) NOT NULL DEFAULT 'active',
  message_count integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chatapp.messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id uuid NOT NULL REFERENCES chatapp.conversations(id) ON DELETE CASCADE,
  role varchar(20) NOT NULL,
  content text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX idx_users_email ON chatapp.users(lower(email)) WHERE deleted_at IS NULL;
CREATE INDEX idx_users_company_id ON chatapp.users(company_id);
CREATE INDEX idx_chatbot_packages_chatbot_type ON chatapp.chatbot_packages(chatbotType);
CREATE INDEX idx_chatbots_company_id ON chatapp.chatbots(company_id);
CREATE INDEX idx_chatbots_package_id ON chatapp.chatbots(package_id);
CREATE INDEX idx_chatbots_chatbot_type ON chatapp.chatbots(chatbotType) WHERE deletedAt IS NULL;
CREATE INDEX idx_end_users_company_id ON chatapp.end_users(company_id);
CREATE INDEX idx_conversations_company_id ON chatapp.conversations(company_id);
CREATE INDEX idx_conversations_chatbot_id ON chatapp.conversations(chatbot_id);
CREATE INDEX idx_conversations_end_user_id ON chatapp.conversations(end_user_id);
CREATE INDEX idx_messages_conversation_id ON chatapp.messages(conversation_id, created_at);

CREATE TRIGGER update_companies_updated_at BEFORE UPDATE ON chatapp.companies
FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();

CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON chatapp.users
FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();

CREATE TRIGGER update_chatbots_updated_at BEFORE UPDATE ON chatapp.chatbots
FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();

CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON chatapp.conversations
FOR EACH ROW EXECUTE FUNCTION chatapp.update_updated_at_column();
