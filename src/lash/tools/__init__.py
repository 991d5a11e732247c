"""Tools: definitions, schemas from signatures, results, validation."""
