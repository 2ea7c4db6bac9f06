"""Split serving: prompts are prefilled by instances of one pool and decoded by those of another.

The life of a request: it waits for a pass of a prefill instance and is prefilled there (``prefill``); its cache travels
to a decode instance (``journey``); it joins the steps there and decodes a token a step, disturbed by nobody's prefill
(``decode``). ``joint`` puts x instances of the one and y of the other together; ``loop`` asks what so many requests in
flight come to. Each pool's figures are its own, so that fronts of pools can be merged (``search.optimizer.split``).

Not modelled: feed-forward parts on accelerators of their own (attention-FFN split) and pools of encoders.
"""
