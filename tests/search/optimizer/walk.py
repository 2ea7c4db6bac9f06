"""Legality by walking the free product, rule by rule: what building layouts is held against."""

from collections import Counter

import numpy as np

from costmodel.engine import ENGINES
from search.optimizer.legal import first_broken
from search.optimizer.rules.registry import engine_rules, general_rules


def walk(space, facts, engine):
    """Index, engines that take each, and the ledger."""
    wanted = ENGINES if engine == "any" else (engine,)
    index = np.arange(space.size)
    plans = space.plans(index)
    names = [rule.name for rule in general_rules()]
    broken = first_broken(general_rules(), plans, facts)
    removed = Counter(names[i] for i in broken if i < len(names))
    exists = broken == len(names)
    index, plans = index[exists], plans.take(exists)
    verdicts = {name: first_broken(engine_rules(name), plans, facts) for name in ENGINES}
    takes = np.stack([verdicts[name] == len(engine_rules(name)) for name in ENGINES])
    kept = np.any(takes[[ENGINES.index(name) for name in wanted]], axis=0)
    for i in np.flatnonzero(~kept):
        refusals = [engine_rules(name)[verdicts[name][i]].name for name in wanted]
        removed[" + ".join(dict.fromkeys(refusals))] += 1
    return index[kept], takes[:, kept], removed
