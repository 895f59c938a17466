"""Campaign work: the current unit, leases, the outbox, review."""
