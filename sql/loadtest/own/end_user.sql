-- parameters: end_user, company

-- One who calls. They are few: without an index of all calls by end user, deleting one reads the table of calls.
INSERT INTO chatapp.end_users (id, company_id) VALUES ($1::uuid, $2::uuid)
