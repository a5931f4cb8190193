-- Whether the shadow column that is under way no longer fits: what belongs to avatar_url has changed since, or a part of the
-- shadow was removed or switched off by hand
SELECT d.detail ->> 'facts' IS DISTINCT FROM callctl.column_facts('chatapp.users'::regclass, 'avatar_url'::name)
    OR NOT EXISTS (SELECT FROM pg_attribute AS a
                   WHERE a.attrelid = 'chatapp.users'::regclass AND a.attname = d.name AND NOT a.attisdropped)
    OR 2 <> (SELECT count(*) FROM pg_trigger AS g
             WHERE g.tgrelid = 'chatapp.users'::regclass AND g.tgname LIKE 'zzz\_callctl\_shadow\_%' AND g.tgenabled = 'A')
FROM callctl.definition AS d WHERE d.step = 1 AND d.kind = 'shadow'
