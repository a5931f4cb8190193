-- parameters: company, slug, client, version

-- A load test's company, written down in the transaction that makes it: what is not here is nobody's to remove.
INSERT INTO callctl.load_test (company_id, slug, client, callctl_version)
VALUES ($1::uuid, $2, $3, $4)
