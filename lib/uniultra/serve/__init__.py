"""The server: MONAI Label tasks and routes over predict and store, and the wire format."""
