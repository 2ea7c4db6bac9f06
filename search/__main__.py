"""``python -m search``: the search, a Hydra program."""

import sys

from search.cli import collect_rarely

if __name__ == "__main__":
    collect_rarely()
    from search.commands.search import main

    sys.exit(main(sys.argv[1:]))
