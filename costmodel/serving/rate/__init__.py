"""Plans under requests that arrive at a rate: distributions of TTFT, TPOT and end-to-end time for every plan at once.

``tables`` has the seconds of passes of each layout, ``steps`` how many sequences decode at the rate and how often
passes hold prompts, ``crowd`` whom one meets inside, ``seats`` who waits for a seat, ``latency`` the distributions
that follow (``distribution``), ``capacity`` the most that a plan carries, ``overflow`` the chance that caches in flight
outgrow the memory; ``figures`` puts them together for ``costmodel.evaluate``. The independent reference is
``costmodel.serving.simulation``.
"""
