"""The `uniultra` command, one file per group of subcommands."""
