"""Settings: the YAML that people edit, its validated schema, and the one place where objects are built from it."""
