-- Whether there are rows, and whether one is of an account type. %(account_type)s
SELECT EXISTS (SELECT FROM {relation} AS t WHERE {condition}),
       EXISTS (SELECT FROM {relation} AS t WHERE {condition} AND {account_type} = %(account_type)s)
