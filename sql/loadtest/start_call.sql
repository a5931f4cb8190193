-- from: L1404-1455
-- who: the application
-- parameters: call, company, chatbot, end_user, conversation, account, call_sid, from_number, to_number

-- A provider announces a call.
INSERT INTO chatapp.calls (id, company_id, chatbot_id, end_user_id, conversation_id, integration_account_id, call_sid,
                           source, direction, status, from_number, to_number, ai_provider, model_id)
VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5::uuid, $6::uuid, $7, 'twilio', 'inbound', 'pending', $8, $9, 'openai',
        'gpt-4o-realtime-preview-2024-10-01')
