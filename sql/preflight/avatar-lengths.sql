-- finding: avatar-lengths
-- steps: 1
-- ok: there are no users yet
-- why: addresses near the limit show that the longer column is needed; after step 1, one longer than the
--      old limit stands in the way of going down
-- do: nothing now; before migrate down, see whether --truncate-avatars is acceptable

-- needs: chatapp.users.avatar_url
SELECT
    'ok' AS level,
    format('%s users, %s with an avatar; the longest avatar_url has %s characters, longer than 400: %s, longer than 500: %s',
           count(*), count(x.avatar_url), coalesce(max(length(x.avatar_url)), 0),
           count(*) FILTER (WHERE length(x.avatar_url) > 400),
           count(*) FILTER (WHERE length(x.avatar_url) > 500)) AS what
FROM chatapp.users AS x;
