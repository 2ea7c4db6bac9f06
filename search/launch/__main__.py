"""``python -m search.launch``."""

import sys

from search.launch.main import main

sys.exit(main(sys.argv[1:]))
