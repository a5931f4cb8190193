-- The platform's schema as it is deployed: the database before the call feature, as its ORM made it.
-- Timestamps carry no time zone, every enum is in public, indexes are <table>_<column>_idx, no triggers.

CREATE SCHEMA chatapp;

CREATE TYPE public.ai_model_provider AS ENUM ('openai', 'google', 'anthropic');
CREATE TYPE public.audit_action AS ENUM ('create', 'update', 'delete', 'login', 'export');
CREATE TYPE public.billing_interval AS ENUM ('monthly', 'yearly');
CREATE TYPE public.channel_type AS ENUM ('web', 'whatsapp', 'facebook', 'custom');
CREATE TYPE public.chatbot_status AS ENUM ('draft', 'active', 'paused', 'archived');
CREATE TYPE public.chatbot_type AS ENUM ('chat', 'call');
CREATE TYPE public.company_status AS ENUM ('active', 'trial', 'past_due', 'suspended');
CREATE TYPE public.conversation_status AS ENUM ('active', 'waiting_human', 'with_human', 'resolved', 'abandoned');
CREATE TYPE public.document_status AS ENUM ('pending', 'processing', 'indexed', 'failed');
CREATE TYPE public.document_type AS ENUM ('file', 'url', 'text', 'faq');
CREATE TYPE public.escalation_priority AS ENUM ('low', 'normal', 'high', 'urgent');
CREATE TYPE public.escalation_reason AS ENUM ('requested', 'low_confidence', 'sentiment', 'rule');
CREATE TYPE public.integration_status AS ENUM ('active', 'inactive', 'error', 'pending');
CREATE TYPE public.integration_type AS ENUM ('whatsapp', 'facebook', 'slack', 'zapier', 'webhook');
CREATE TYPE public.invitation_status AS ENUM ('pending', 'accepted', 'expired', 'revoked');
CREATE TYPE public.invoice_status AS ENUM ('draft', 'open', 'paid', 'void', 'uncollectible');
CREATE TYPE public.lead_status AS ENUM ('new', 'contacted', 'qualified', 'lost');
CREATE TYPE public.message_role AS ENUM ('user', 'assistant', 'system', 'human_agent');
CREATE TYPE public.message_type AS ENUM ('text', 'image', 'file', 'audio', 'card');
CREATE TYPE public.notification_type AS ENUM ('info', 'warning', 'escalation', 'billing');
CREATE TYPE public.payment_status AS ENUM ('pending', 'succeeded', 'failed', 'refunded');
CREATE TYPE public.plan_tier AS ENUM ('free', 'starter', 'growth', 'enterprise');
CREATE TYPE public.subscription_status AS ENUM ('trialing', 'active', 'past_due', 'canceled');
CREATE TYPE public.user_role AS ENUM ('master_admin', 'company_admin', 'support_agent', 'company_member');
CREATE TYPE public.user_status AS ENUM ('active', 'inactive', 'invited');
CREATE TYPE public.widget_position AS ENUM ('bottom-right', 'bottom-left', 'top-right', 'top-left');

CREATE TABLE chatapp.companies (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name varchar(255) NOT NULL,
  slug varchar(100) NOT NULL,
  plan public.plan_tier NOT NULL DEFAULT 'free',
  status public.company_status NOT NULL DEFAULT 'active',
  settings jsonb DEFAULT '{}',
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  deleted_at timestamp,
  CONSTRAINT companies_slug_unique UNIQUE (slug)
);

CREATE TABLE chatapp.users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid,
  email varchar(255) NOT NULL,
  name varchar(255),
  role public.user_role NOT NULL DEFAULT 'company_member',
  status public.user_status NOT NULL DEFAULT 'active',
  avatar_url varchar(500),
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  deleted_at timestamp,
  CONSTRAINT users_company_id_companies_id_fk
    FOREIGN KEY (company_id) REFERENCES chatapp.companies(id) ON DELETE CASCADE
);

CREATE TABLE chatapp.chatbot_packages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  name varchar(255) NOT NULL,
  description text,
  chatbot_type public.chatbot_type NOT NULL DEFAULT 'chat',
  monthly_price numeric(10,2) NOT NULL DEFAULT 0,
  billing_interval public.billing_interval NOT NULL DEFAULT 'monthly',
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now()
);

CREATE TABLE chatapp.ai_models (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  provider public.ai_model_provider NOT NULL,
  model_id varchar(100) NOT NULL,
  display_name varchar(100) NOT NULL,
  description text,
  input_limit integer NOT NULL,
  output_limit integer NOT NULL,
  input_price_per_million numeric(10,4),
  output_price_per_million numeric(10,4),
  cached_input_price numeric(10,4),
  settings_schema jsonb NOT NULL DEFAULT '{}',
  is_active boolean NOT NULL DEFAULT true,
  is_default boolean NOT NULL DEFAULT false,
  sort_order integer NOT NULL DEFAULT 0,
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  CONSTRAINT ai_models_model_id_unique UNIQUE (model_id)
);

CREATE TABLE chatapp.chatbots (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL,
  package_id uuid,
  ai_model_id uuid,
  name varchar(255) NOT NULL,
  chatbot_type public.chatbot_type NOT NULL DEFAULT 'chat',
  status public.chatbot_status NOT NULL DEFAULT 'draft',
  system_prompt text,
  settings jsonb NOT NULL DEFAULT '{}',
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  deleted_at timestamp,
  CONSTRAINT chatbots_company_id_companies_id_fk
    FOREIGN KEY (company_id) REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  CONSTRAINT chatbots_package_id_chatbot_packages_id_fk
    FOREIGN KEY (package_id) REFERENCES chatapp.chatbot_packages(id),
  CONSTRAINT chatbots_ai_model_id_ai_models_id_fk
    FOREIGN KEY (ai_model_id) REFERENCES chatapp.ai_models(id)
);

COMMENT ON COLUMN chatapp.chatbots.chatbot_type IS 'What the chatbot does: chat or call';

CREATE TABLE chatapp.end_users (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL,
  name varchar(255),
  email varchar(255),
  phone varchar(50),
  channel public.channel_type NOT NULL DEFAULT 'web',
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  CONSTRAINT end_users_company_id_companies_id_fk
    FOREIGN KEY (company_id) REFERENCES chatapp.companies(id) ON DELETE CASCADE
);

CREATE TABLE chatapp.conversations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL,
  chatbot_id uuid NOT NULL,
  end_user_id uuid,
  channel public.channel_type NOT NULL DEFAULT 'web',
  status public.conversation_status NOT NULL DEFAULT 'active',
  message_count integer NOT NULL DEFAULT 0,
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  CONSTRAINT conversations_company_id_companies_id_fk
    FOREIGN KEY (company_id) REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  CONSTRAINT conversations_chatbot_id_chatbots_id_fk
    FOREIGN KEY (chatbot_id) REFERENCES chatapp.chatbots(id),
  CONSTRAINT conversations_end_user_id_end_users_id_fk
    FOREIGN KEY (end_user_id) REFERENCES chatapp.end_users(id) ON DELETE SET NULL
);

CREATE TABLE chatapp.messages (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  conversation_id uuid NOT NULL,
  role public.message_role NOT NULL,
  type public.message_type NOT NULL DEFAULT 'text',
  content text NOT NULL,
  created_at timestamp NOT NULL DEFAULT now(),
  CONSTRAINT messages_conversation_id_conversations_id_fk
    FOREIGN KEY (conversation_id) REFERENCES chatapp.conversations(id) ON DELETE CASCADE
);

CREATE TABLE chatapp.integrations (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  company_id uuid NOT NULL,
  chatbot_id uuid,
  type public.integration_type NOT NULL,
  status public.integration_status NOT NULL DEFAULT 'pending',
  config jsonb NOT NULL DEFAULT '{}',
  created_at timestamp NOT NULL DEFAULT now(),
  updated_at timestamp NOT NULL DEFAULT now(),
  CONSTRAINT integrations_company_id_companies_id_fk
    FOREIGN KEY (company_id) REFERENCES chatapp.companies(id) ON DELETE CASCADE,
  CONSTRAINT integrations_chatbot_id_chatbots_id_fk
    FOREIGN KEY (chatbot_id) REFERENCES chatapp.chatbots(id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX users_email_idx ON chatapp.users(email);
CREATE INDEX users_company_id_idx ON chatapp.users(company_id);
CREATE INDEX chatbot_packages_chatbot_type_idx ON chatapp.chatbot_packages(chatbot_type);
CREATE INDEX ai_models_provider_idx ON chatapp.ai_models(provider);
CREATE INDEX chatbots_company_id_idx ON chatapp.chatbots(company_id);
CREATE INDEX chatbots_package_id_idx ON chatapp.chatbots(package_id);
CREATE INDEX chatbots_chatbot_type_idx ON chatapp.chatbots(chatbot_type);
CREATE INDEX end_users_company_id_idx ON chatapp.end_users(company_id);
CREATE INDEX conversations_company_id_idx ON chatapp.conversations(company_id);
CREATE INDEX conversations_chatbot_id_idx ON chatapp.conversations(chatbot_id);
CREATE INDEX conversations_end_user_id_idx ON chatapp.conversations(end_user_id);
CREATE INDEX messages_conversation_id_idx ON chatapp.messages(conversation_id);
CREATE INDEX integrations_company_id_idx ON chatapp.integrations(company_id);
