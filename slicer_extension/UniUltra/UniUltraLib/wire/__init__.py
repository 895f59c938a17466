"""The HTTP client of the server."""
