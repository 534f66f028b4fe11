"""Workspaces: named buffers in files of their own, committed to a store at once or recovered."""
