-- Removes the shadow column that an unfinished way down of step 1 has left, with everything on it
CALL callctl.drop_shadow(1, 'chatapp.users'::regclass);
