"""A server on this machine: find, install, start, stop."""
