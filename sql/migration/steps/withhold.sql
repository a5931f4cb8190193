-- The old application must not offer this model while chatbots has its type column: it waits for step 6.
SELECT callctl.withhold_model({table}::regclass, %(id)s::uuid)
