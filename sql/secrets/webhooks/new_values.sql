-- Where new webhook secrets wait, within a transaction, on their way into the accounts. They come by COPY in binary: a secret as
-- a parameter, or in a line of a COPY in text that fails, would be written to the server's log.
CREATE TEMPORARY TABLE IF NOT EXISTS callctl_new_value (
  account_id uuid PRIMARY KEY,
  webhook_secret text NOT NULL
) ON COMMIT DELETE ROWS
