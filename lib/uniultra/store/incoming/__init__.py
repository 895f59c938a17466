"""Labels made elsewhere: masks of other tools, proposals of a model."""
