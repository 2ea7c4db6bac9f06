"""``python -m search.measure``: rates of the user's own accelerator, written as files that the planner reads."""

import sys

from search.measure.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
