"""A module for each peer, with a class `Adapter` that does the common work in the peer's way."""
