-- parameters: company

-- Whether a load test's company is there.
SELECT FROM chatapp.companies WHERE id = $1::uuid
