-- Whether a development account is stored as it was written, once every trigger has fired.
SELECT t.account_type = %(type)s AND t.account_name = %(name)s AND t.credentials = %(credentials)s::jsonb
FROM {accounts} AS t WHERE t.id = %(id)s::uuid
