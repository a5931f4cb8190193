-- parameters: conversation, company, chatbot, end_user

-- A conversation that its calls are part of.
INSERT INTO chatapp.conversations (id, company_id, chatbot_id, end_user_id) VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid)
