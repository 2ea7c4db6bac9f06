"""``python -m search.explain RUN --plan ...``."""

import sys

from search.explain.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
