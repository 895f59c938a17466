"""The HTTP layer: access control, request limits, thread pools, refusals and logs."""
