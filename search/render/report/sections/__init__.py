"""Parts of the page, each a function of the mapping of values alone."""
