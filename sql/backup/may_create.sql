-- Whether this role may make schemas in this database.
SELECT has_database_privilege(current_database(), 'CREATE')
