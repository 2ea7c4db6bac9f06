"""Split plans: x instances that prefill and y that decode, each pool laid out for itself.

``pools`` finds the instances of each pool and the front of its own figures; ``merge`` joins the two fronts over every
ratio that fills the accelerators, which is exact and never lists their product; ``search`` puts it together;
``verdict`` sets the best split plan beside the best aggregated one.
"""
