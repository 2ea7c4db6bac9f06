"""An event simulation of a deployment under real traffic: requests of any lengths that arrive at any time.

``simulate`` hands requests to replicas (``balancer``). A ``Replica`` runs passes of its attention groups in lockstep; a
``Group`` schedules one engine's way (``Scheduler``): who is admitted, how a pass's token budget is spent, who is
preempted where the cache is full, which prefixes are found in it (``prefix_cache``). Passes take the seconds of a
``StepTable``. Nothing happens while all decode, so such passes are taken in one jump, up to the next arrival, the next
answer's end or the first block that is lacking.
"""
