-- parameters: company, chatbot, account, most

-- Some of its calls, and their transcripts with them.
DELETE FROM chatapp.calls
WHERE id IN (SELECT id FROM chatapp.calls
             WHERE company_id = $1::uuid AND chatbot_id = $2::uuid AND integration_account_id = $3::uuid AND deleted_at IS NULL
             LIMIT $4::integer)
