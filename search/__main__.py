"""``python -m search``: the search, a Hydra program."""

import sys

from search.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
