"""The command line as a person uses it."""

import pytest

from uniultra.cli import main


@pytest.fixture
def run(capsys):
    """Runs `uniultra …`; gives the exit code and what was printed, also on the error stream."""

    def go(*arguments):
        capsys.readouterr()
        code = main.main(list(map(str, arguments)))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return go
