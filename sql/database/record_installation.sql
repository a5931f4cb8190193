-- Record the schema of the platform that this database's migration belongs to; the first one stays. %(platform_schema)s
INSERT INTO callctl.installation (platform_schema) VALUES (%(platform_schema)s) ON CONFLICT DO NOTHING
