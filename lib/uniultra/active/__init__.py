"""Which image next? One file per query strategy, and how a promptable model tells what it does not know."""
