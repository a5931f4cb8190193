-- parameters: company, conversation

-- Before the chatbot: on the platform as it stands, a chatbot with a conversation cannot go.
DELETE FROM chatapp.conversations WHERE id = $2::uuid AND company_id = $1::uuid
