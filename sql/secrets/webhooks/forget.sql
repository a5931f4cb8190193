-- Kept secrets that are back where they came from. %(kept)s
DELETE FROM callctl.kept_webhook_secret WHERE id = ANY (%(kept)s::bigint[])
