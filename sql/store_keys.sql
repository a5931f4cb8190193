-- What callctl saved of a row belongs to the row: it is deleted with it, and follows its primary key. So a row that gets the id
-- of a deleted one gets nothing of that one's. Each foreign key is added once, behind a lock that writers of its table wait for
-- briefly; the table of saved values is small or empty then.

-- callctl: commit
SELECT callctl.follow_rows('callctl.saved_value'::regclass, 'user_id'::name, 'chatapp.users'::regclass);

-- callctl: commit
SELECT callctl.follow_rows('callctl.saved_value'::regclass, 'company_id'::name, 'chatapp.companies'::regclass);

-- callctl: commit
SELECT callctl.follow_rows('callctl.saved_value'::regclass, 'chatbot_id'::name, 'chatapp.chatbots'::regclass);

-- callctl: commit
SELECT callctl.follow_rows('callctl.saved_value'::regclass, 'chatbot_package_id'::name, 'chatapp.chatbot_packages'::regclass);

-- callctl: commit
SELECT callctl.follow_rows('callctl.saved_value'::regclass, 'ai_model_id'::name, 'chatapp.ai_models'::regclass);

-- callctl: commit
SELECT callctl.follow_rows('callctl.inheritance_breach'::regclass, 'chatbot_id'::name, 'chatapp.chatbots'::regclass);

-- Counting begins where an earlier callctl has left rows that it did not count: in a transaction of its own, behind no lock that a
-- client waits for. Everywhere else it has begun, and this does nothing.
SELECT callctl.begin_count();
