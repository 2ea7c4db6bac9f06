"""The command lines of all commands: what is wrong with one is a line, as with every other input."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from search.base.errors import InputError
from search.base.escape import message


class Parser(argparse.ArgumentParser):
    """``argparse.ArgumentParser`` whose errors are one line and exit code 2."""

    def error(self, text: str) -> NoReturn:
        print(f"error: {message(f'{self.prog}: {text}; see {self.prog} --help')}", file=sys.stderr)
        sys.exit(InputError.exit_code)
