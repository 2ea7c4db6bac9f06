"""``servefront simulate RUN --plan split``: the pool that prefills, the link, the pool that decodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from costmodel.serving.simulation.balancer import Policy
from costmodel.serving.simulation.requests import Requests, rows_of
from costmodel.serving.split.simulated import Deployment, SplitServed, simulate
from search.commands.simulated import Simulated, check_served, scenario_of
from search.inputs.saved_run import SavedRun
from search.inputs.split_rows import SplitRow, named_split
from search.inputs.traffic import Traffic
from search.optimizer.split.deployed import capacity_per_s, deployment_of_row
from search.optimizer.split.verdict import layout_of
from search.render import split_simulation
from search.render.document.split_kinds import nouns


def split_simulated(
    run: SavedRun, traffic: Traffic, requests: Requests, text: str, policy: Policy, in_flight: int | None
) -> Simulated:
    """In a closed loop ``in_flight`` requests of the whole deployment are inside, else as many as there are seats."""
    row, name = named_split(run, text)
    scenario = scenario_of(run)
    deployment = deployment_of_row(run.config, scenario, replace(traffic, hashes=False).lengths(), row)
    seats = row.y * int(deployment.decode.batch[0])
    inside = (in_flight or seats) if traffic.process == "closed" else None
    served = _served(deployment, requests, policy, inside)
    check_served(requests, served.e2e_s)
    found = split_simulation.summary(requests, served)
    told = _words(row, nouns(scenario, (deployment.scenario, deployment.decoding)))
    title = f"{scenario.model.name}: {told}"
    loop = "" if inside is None else f"; {inside} requests are always inside"
    words = f"{name}: {told} on {scenario.engine.name}{_fewer(row, deployment)}{loop}"
    return Simulated(
        words, title, found, split_simulation.text(found),
        split_simulation.csv_text(requests, served),
        split_simulation.picture(served, title, seats),
        lambda sent: split_simulation.figures(_served(deployment, sent, policy)), lambda: capacity_per_s(deployment),
    )  # fmt: skip


def _served(d: Deployment, requests: Requests, policy: Policy, in_flight: int | None = None) -> SplitServed:
    """Those that are longer than the model's context are refused by the router."""
    longest = d.scenario.model.max_position or np.inf
    rows = np.flatnonzero(requests.prompt_tokens + requests.answer_tokens <= longest)
    sent = rows_of(requests, rows)
    cached = 0 if sent.cached_tokens is None else sent.cached_tokens
    new = np.maximum(sent.prompt_tokens - cached, 1)
    whole = (sent.prompt_tokens, sent.blocks, sent.block_tokens)
    found = simulate(d, sent.arrival_s, new, sent.answer_tokens, *whole, in_flight, policy)

    def spread(values: Any, nobody: Any) -> Any:
        whole = np.full(len(requests), nobody, dtype=values.dtype)
        whole[rows] = values
        return whole

    ready, arrived, first, last = (
        spread(times, np.inf) for times in (found.prefilled_s, found.arrived_s, found.first_s, found.last_s)
    )
    return SplitServed(
        spread(found.arrival_s, requests.arrival_s), requests.answer_tokens, ready, arrived, first, last,
        spread(found.prefill, -1), spread(found.decode, -1), spread(found.hits + cached, 0),
    )  # fmt: skip


def _fewer(row: SplitRow, d: Deployment) -> str:
    seats, batch = int(d.decode.batch[0]), int(row.decode.batch[0])
    return f"; {seats} of {batch} sequences fit at these lengths" if seats < batch else ""


def _words(row: SplitRow, kinds: tuple[str, str]) -> str:
    p, d = row.prefill.row(0), row.decode.row(0)
    drafts = f", {row.drafter} of {row.drafts}" if row.drafts else ""
    dealt = f", cache over {row.ranks} ranks" if row.ranks > 1 else ""
    return (
        f"{row.x} x prefill ({p['gpus']} {kinds[0]}: {layout_of(p)}) and {row.y} x decode ({d['gpus']} {kinds[1]}: "
        f"{layout_of(d)}, batch {d['batch']}{drafts}{dealt})"
    )
