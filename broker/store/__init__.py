"""The database is the only truth: tables, the unit of work, read queries, migrations; and the catalogue's files."""
