"""Query strategies, one per file; `uniultra.active.registry` finds them by name."""
