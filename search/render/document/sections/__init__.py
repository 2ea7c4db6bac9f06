"""The parts of the document, one function each: ``View`` in, markdown out."""
