-- The fields of a model that the catalogue has otherwise.
UPDATE {models} SET {changes} WHERE id = %(id)s::uuid
