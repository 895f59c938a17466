"""The wire format: request parsing, answers and info documents."""
