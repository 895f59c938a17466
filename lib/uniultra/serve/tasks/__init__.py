"""MONAI Label tasks: interactive and automatic inference, batch, training, next sample."""
