-- finding: avatar-lengths
-- steps: 1
-- ok: there are no users yet
-- why: URLs near the limit show that the longer column is needed; after step 1, a URL longer than the old limit
--      is a blocker for migrate down
-- do: nothing now; before migrate down, decide whether --truncate-avatars is acceptable

-- needs: chatapp.users.avatar_url
SELECT
    'ok' AS level,
    format('%s users, %s with an avatar; the longest avatar_url has %s characters, longer than 400: %s, longer than 500: %s',
           count(*), count(x.avatar_url), coalesce(max(length(x.avatar_url)), 0),
           count(*) FILTER (WHERE length(x.avatar_url) > 400),
           count(*) FILTER (WHERE length(x.avatar_url) > 500)) AS what
FROM chatapp.users AS x;
