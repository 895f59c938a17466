"""The Qt panel, one file per section."""
