"""Several models on one fleet (``docs/fleet.md``).

``replicas`` searches each model on each kind of accelerator, ``choices`` makes of that what a model may be given,
``exact`` and ``milp`` give everybody theirs, ``study`` lets Optuna try, ``deployed`` scores what was chosen; ``run``
calls them in order.
"""
