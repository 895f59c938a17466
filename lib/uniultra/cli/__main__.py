"""`python -m uniultra.cli` is the `uniultra` command."""

from uniultra.cli.main import main

raise SystemExit(main())
