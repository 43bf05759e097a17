"""Tables, statements and transactions on SQLite and PostgreSQL; see README.md."""
