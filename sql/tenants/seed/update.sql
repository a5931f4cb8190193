-- The fields of a model whose values differ from the catalog.
UPDATE {models} SET {changes} WHERE id = %(id)s::uuid
