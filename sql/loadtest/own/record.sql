-- parameters: company, slug, client, version

-- A load test's company, recorded in the transaction that makes it: callctl removes only what is recorded here.
INSERT INTO callctl.load_test (company_id, slug, client, callctl_version)
VALUES ($1::uuid, $2, $3, $4)
