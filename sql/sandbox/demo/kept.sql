-- What an archive holds after down: the tables of the call feature, as they wait in callctl's schema.
SELECT 'integration accounts' AS what, count(*) AS number FROM callctl.integration_accounts
UNION ALL
SELECT 'calls', count(*) FROM callctl.calls
UNION ALL
SELECT 'lines of transcript', count(*) FROM callctl.call_transcripts
