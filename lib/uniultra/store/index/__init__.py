"""The label index (SQLite or PostgreSQL), its journal, recovery and migration."""
