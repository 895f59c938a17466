"""The campaign file, the folder's identity, patients, initial masks and status."""
