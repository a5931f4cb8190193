-- parameters: chatbot, company

-- The chatbot that its calls reach.
INSERT INTO chatapp.chatbots (id, company_id, name, enabled_chat, enabled_call, settings)
VALUES ($1::uuid, $2::uuid, 'callctl load test', false, true, jsonb_build_object('call', callctl.default_call_settings()))
