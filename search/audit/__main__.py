"""``python -m search.audit``."""

import sys

from search.audit.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
