"""The papers' comparison: all systems trained on the same bases and pictures, scored alike."""
