"""Adapters: small trainable parts put beside frozen layers, one kind a file."""
