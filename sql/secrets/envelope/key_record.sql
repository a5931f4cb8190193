-- The check value of a key, as it was when callctl first wrote here with it: the first to come says it. %(id)s, %(check_value)s
INSERT INTO callctl.encryption_key (id, check_value) VALUES (%(id)s, %(check_value)s) ON CONFLICT (id) DO NOTHING
