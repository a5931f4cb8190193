-- Nobody writes models between the look at them and the writing; readers go on, and so do foreign keys.
LOCK TABLE {models} IN SHARE ROW EXCLUSIVE MODE
