"""Which measured runs are like a plan, and how far off predictions were on them (``conf/evidence.csv``)."""
