"""Units of work, leases and progress."""
