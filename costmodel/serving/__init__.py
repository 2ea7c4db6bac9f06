"""Continuous batching: from seconds a pass to time to first token, time per output token and throughput.

The life of a request of the workload's lengths in a server that always has as many (``closed_loop``). It falls into a
running step and waits for the rest of it and for the steps that are scheduled already (``latency.arrival``); it waits
for a place in the prefill, is prefilled in one or more mixed steps beside others' decodes, then decodes a token a step,
lengthened by others' prefill. Its tokens wait for the process that sends them (``streaming``). Where the cache admits
fewer than are wanted it has waited outside before all of this. ``latency`` turns steps into seconds.

Other situations: every request of a replica at once, nothing decoded between (``burst``; a client that sends a finite
number of requests begins with one, and in the first of its waves those that are through decode beside the others'
prefill); a finite backlog served until none is left (``backlog``); batches without a loop (``offline``).
"""
