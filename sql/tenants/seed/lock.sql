-- No session writes models between the look at them and the writing; readers continue, and so do foreign keys.
LOCK TABLE {models} IN SHARE ROW EXCLUSIVE MODE
