-- parameters: company

-- It is gone.
DELETE FROM callctl.load_test WHERE company_id = $1::uuid
