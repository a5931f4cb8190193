-- Kept secrets whose time is over.
DELETE FROM callctl.kept_webhook_secret WHERE keep_until <= now()
