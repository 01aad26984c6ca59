"""Settings: the YAML that people edit, its schema, and the one place where objects are built from it."""
