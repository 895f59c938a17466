"""Which images a studies folder holds: scan, ids, frames."""
