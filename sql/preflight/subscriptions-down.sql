-- finding: subscriptions-down
-- steps: 2-3
-- direction: down
-- ok: no subscription of this database writes to a table that loses its capability flags
-- why: before the capability flags are dropped, a CHECK on the table proves that the type column agrees; it applies to every writer, and
--      an error of the apply worker would stop the replication
-- do: disable the subscription before the step and enable it after; the publisher keeps what is written in between

SELECT
    'blocks' AS level,
    format('%s is filled by subscription %I, which is enabled; step %s drops its capability flags', c.oid::regclass, u.subname, t.step) AS what,
    c.oid::regclass::text AS object,
    ARRAY[t.step] AS steps,
    format('ALTER SUBSCRIPTION %I DISABLE; after the step: ALTER SUBSCRIPTION %I ENABLE;', u.subname, u.subname) AS fix
FROM (VALUES ('chatbot_packages', 2), ('chatbots', 3)) AS t(name, step)
JOIN pg_catalog.pg_class AS c ON c.relname = t.name AND c.relnamespace = 'chatapp'::regnamespace
JOIN pg_catalog.pg_subscription_rel AS s ON s.srrelid = c.oid
JOIN pg_catalog.pg_subscription AS u ON u.oid = s.srsubid AND u.subenabled;
