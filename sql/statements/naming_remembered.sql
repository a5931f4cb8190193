-- What the type columns were called when callctl removed them.
SELECT relation, name
FROM callctl.definition
WHERE kind = 'column' AND relation IN ('chatbots', 'chatbot_packages') AND step IN (5, 6)
ORDER BY step, ordinal
