"""Label files and records: saving, importing, proposals, quarantine."""
