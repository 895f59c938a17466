"""Routes of the app, in front of MONAI Label's own."""
