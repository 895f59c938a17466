"""The studies folder: which images there are, which labels they have, kept through crashes."""
