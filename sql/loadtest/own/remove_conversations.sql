-- parameters: company, conversation

-- Before the chatbot: on the deployed platform, a chatbot with a conversation cannot be deleted.
DELETE FROM chatapp.conversations WHERE id = $2::uuid AND company_id = $1::uuid
