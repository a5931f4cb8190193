-- Everything that callctl saved, gone for good: archived tables with their rows, saved rows, saved values, webhook
-- secrets that were replaced. The history stays, and so do the definitions that a down needs. Without the
-- saved values no one can tell any more what a step wrote from what was there before.

DROP TABLE IF EXISTS callctl.call_transcripts;

DROP TABLE IF EXISTS callctl.calls;

DROP TABLE IF EXISTS callctl.integration_accounts;

DELETE FROM callctl.definition WHERE step IN (9, 10, 11) AND kind IN ('foreign key', 'trigger');

DELETE FROM callctl.saved_row;

DELETE FROM callctl.saved_value;

DELETE FROM callctl.kept_webhook_secret;

DELETE FROM callctl.known_before;
