"""Search over layouts, and what it hands to people."""

__version__ = "0.1.0"
