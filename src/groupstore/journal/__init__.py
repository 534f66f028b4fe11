"""The journal: append-only records in the store's file, queries over them, and archives."""
