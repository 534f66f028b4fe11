"""The journal: append-only records, queried by Flux or SQL, archived in compressed files."""
