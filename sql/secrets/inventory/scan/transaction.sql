-- A snapshot for each statement, whatever the role's default is.
SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY
