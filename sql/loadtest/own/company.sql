-- parameters: company, slug

-- A company of the load test's own. Its calls are switched off, so that the platform takes none for it.
INSERT INTO chatapp.companies (id, name, slug, settings)
VALUES ($1::uuid, 'callctl load test', $2, '{"features": {"callEnabled": false}}')
