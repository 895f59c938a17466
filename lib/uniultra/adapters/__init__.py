"""Adapters: small trainable modules in parallel to frozen layers, one kind per file."""
