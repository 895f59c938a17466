"""The index opened and brought up to date: recovery after a crash, folders of older versions."""
