"""Background scores and the ranking of units for `next_sample`."""
