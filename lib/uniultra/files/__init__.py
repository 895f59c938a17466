"""Durable files: atomic writes, checksums, locks. Knows nothing about ultrasound."""
