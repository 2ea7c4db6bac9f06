"""Kernel tables: reading them as ``Work`` and fitting the constants of ``costmodel.laws`` to them.

``python -m search.evidence.kernels.fit --data FOLDER`` prints the error tables and writes ``conf/law/*.yaml``.
"""
