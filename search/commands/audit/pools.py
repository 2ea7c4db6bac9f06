"""A server of one pool of a split plan: which pool a command is of, what its engine refuses, what the server comes to.

vLLM 0.33.0 ``vllm/config/kv_transfer.py`` and ``vllm.py``; SGLang 0.5.23 ``sglang/srt/arg_groups/
pd_disaggregation_hook.py``; TensorRT-LLM 1.2 ``docs/source/features/disagg-serving.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.architecture import Architecture
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.decode import decode
from costmodel.serving.split.journey import cargo
from costmodel.serving.split.prefill import prefill
from search.base.errors import InputError
from search.commands.audit.command import Command
from search.commands.audit.judged import Measured, side_of
from search.evidence.measured.intervals import SPLIT, load_intervals
from search.inputs.split.machines import POOLS
from search.optimizer.decode_context import all_latent
from search.render.document.formats import count, gb, seconds
from search.render.document.spans import standing
from search.render.document.verdict import Verdict

KEYS = "cache_transceiver_config"  # of TensorRT-LLM's file
# vLLM's connectors that send caches from one pool to the other; others keep or move caches of one server.
CONNECTORS = (
    "NixlConnector", "NixlPullConnector", "NixlPushConnector", "MooncakeConnector", "P2pNcclConnector",
    "MoRIIOConnector",
)  # fmt: skip
ROLES = {"kv_producer": "prefill", "kv_consumer": "decode", "kv_both": None}
DEALS = ("mooncake", "nixl", "mori", "ascend", "fake")  # SGLang's backends that take a dealt cache where it decodes


@dataclass(frozen=True)
class Pool:
    """``name`` of the pool, ``None`` where nobody says it; the ``flag`` by which it is known to be of one; rules that
    the engine has, broken."""

    name: str | None
    flag: str
    refused: tuple[tuple[str, str], ...] = ()


def pool_of(command: Command, asked: str | None, tp: int, pp: int, ranks: int, model: Architecture) -> Pool | None:
    """``asked``: what ``--pool`` says; ``ranks`` over which a cache is dealt. ``None`` for a server that does both."""
    found = {"vllm": _vllm, "sglang": _sglang, "trtllm": _trtllm}[command.engine](command, tp, ranks, model)
    if found is None:
        if asked is not None:
            raise InputError(
                f"--pool: {asked} is not allowed; the command names no cache transfer: its server does both"
            )
        return None
    if asked is not None and found.name not in (None, asked):
        raise InputError(f"--pool: {asked} is not allowed; {found.flag} says {found.name}")
    refused = found.refused
    if command.engine == "vllm" and pp > 1 and "decode" in (asked, found.name):
        refused = (*refused, ("vllm.decodes_in_one_stage", f"{command.flag('pp')} {pp} where caches are received"))
    return replace(found, name=asked or found.name, refused=refused)


def _mode(c: Command, both: tuple[str, ...]) -> str | None:
    """The pool that a mode names, ``None`` for a server of ``both`` or where none is given."""
    mode, flag = c.given.get("pool", both[0]), c.flag("pool")
    if mode not in (*both, *POOLS):
        raise InputError(f"{flag}: {mode[:40]!r} is not allowed; give {both[0]}, prefill or decode")
    return mode if mode in POOLS else None


def _of_dynamo(c: Command) -> Pool | None:
    """Dynamo's workers of vLLM say their pool, and have a connector of their own where none is given."""
    for name in POOLS:
        if c.on(f"{name}s"):
            return Pool(name, c.flag(f"{name}s"))
    mode = _mode(c, ("agg", "aggregated"))
    return Pool(mode, c.flag("pool")) if mode else None


def _vllm(c: Command, tp: int, ranks: int, model: Architecture) -> Pool | None:
    worker = _of_dynamo(c)
    if "transfer" not in c.given:
        return worker
    flag = c.flag("transfer")
    try:
        told: Any = json.loads(c.given["transfer"])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) and "$" in c.given["transfer"]:
        raise InputError(f"{flag}: the text does not say its value; write the JSON in its place")
    if not isinstance(told, dict):
        raise InputError(f'{flag}: is no JSON object; give {{"kv_connector": ..., "kv_role": ...}}')
    connector, role = _connector(told)
    refused = []
    if role not in ROLES:
        refused.append(("vllm.transfer_role", f"{flag}: kv_role is none of {', '.join(ROLES)}"))
    if connector == "NixlConnector" and ranks > 1 and not (ranks == tp and all_latent(model)):
        refused.append(("vllm.nixl_deals_all_or_nothing",
                        f"{c.flag('decode_cp')} {ranks} beside NixlConnector: only of latent attention, over all {tp} "
                        "ranks of tp"))  # fmt: skip
    name = ROLES.get(role) if isinstance(role, str) else None
    if worker is not None:
        return replace(worker, refused=tuple(refused))
    return Pool(name, flag, tuple(refused)) if name or refused or connector in CONNECTORS else None


def _connector(told: dict[str, Any]) -> tuple[str, Any]:
    """The connector and its role; of several in one (MultiConnector) the one that sends caches to the other pool."""
    extra = told.get("kv_connector_extra_config")
    inner = extra.get("connectors") if isinstance(extra, dict) else None
    if told.get("kv_connector") == "MultiConnector" and isinstance(inner, list):
        for each in inner:
            if isinstance(each, dict) and each.get("kv_connector") in CONNECTORS:
                told = each
                break
    return str(told.get("kv_connector")), told.get("kv_role")


def _sglang(c: Command, tp: int, ranks: int, model: Architecture) -> Pool | None:
    mode, flag = _mode(c, ("null",)), c.flag("pool")
    if mode is None:
        return None
    backend, refused = c.given.get("transfer", "mooncake"), []
    if mode == "decode" and ranks > 1 and backend not in DEALS:
        refused.append(("sglang.transfer_deals", f"{c.flag('decode_cp')} {ranks} with {c.flag('transfer')} of another"))
    if mode == "prefill" and backend == "fake":
        refused.append(("sglang.transfer_is_real", f"{c.flag('transfer')} fake where prompts are prefilled"))
    return Pool(mode, flag, tuple(refused))


def _trtllm(c: Command, tp: int, ranks: int, model: Architecture) -> Pool | None:
    mode = _mode(c, ("agg", "aggregated", "prefill_and_decode"))
    if mode is not None:
        return Pool(mode, c.flag("pool"))
    return Pool(None, KEYS) if any(flag.split(".")[0] == KEYS for flag, _ in c.unmodelled) else None


@dataclass(frozen=True)
class Said:
    """``lines`` about a server of a pool, and where it decodes its TPOT with the interval of split plans."""

    lines: tuple[str, ...] = ()
    tpot_s: tuple[float, float, float] | None = None

    def verdict(self, v: Verdict) -> Verdict:
        """A claim of TPOT by what the pool alone comes to."""
        if self.tpot_s is None or v.claim != "tpot_s":
            return v
        value, low, high = self.tpot_s
        return replace(
            v, derived=value, low=low, high=high, verdict=standing("tpot_s", v.claimed, low, high), reading="",
            impossible=False, otherwise=None, arithmetic=self.lines[0],
        )  # fmt: skip

    def measured(self, m: Measured) -> Measured:
        """The same of what was measured."""
        if self.tpot_s is None or m.figure != "tpot_s":
            return m
        value, low, high = self.tpot_s
        return Measured(m.figure, m.value, value, low, high, side_of(m.value, low, high, "low"))


NOTHING = Said()


def of_pool(scenario: Scenario, plan: Plans, name: str) -> Said:
    """What ``plan.dp`` servers of a pool come to, and what they take for granted of the other one."""
    row, servers = plan.row(0), int(plan.dp[0])
    one = Plans.of(**(row | {"dp": 1, "gpus": row["gpus"] // servers}))
    moved = cargo(scenario, one)
    total = float(moved.total_bytes[0])
    if name == "prefill":
        pool = prefill(scenario, one)
        most, alone = float(pool.capacity_per_s[0]), float(pool.own_s(np.zeros(1))[0])
        sent = most / float(one.attn_dp[0]) * total / float(moved.ranks[0])
        return Said((
            f"prefills {most * servers:.3g} prompts/s of {count(scenario.lengths.new)} tokens at most; one alone takes "
            f"{seconds(alone)}",
            "that is its part of TTFT; the cache's journey and joining the steps are the link's and the other pool's",
            f"a prompt's cache is {gb(total)}: at most {gb(sent)}/s leave an accelerator for each copy asked for",
        ))  # fmt: skip
    batch = float(one.batch[0])
    found = decode(scenario, one, np.array([batch]))
    tpot, rate = float(found.tpot_s[0]), float(found.rate_per_s[0])
    low, high = (float(end[0]) for end in load_intervals().of("tpot_s", np.array([SPLIT]), found.tpot_s))
    taken = rate / float(one.attn_dp[0]) * float(moved.bytes[0])
    return Said(
        (
            f"decodes {count(batch)} sequences with no prompt between: TPOT {seconds(tpot)} ({seconds(low)} to "
            f"{seconds(high)}), {rate * servers:.3g} answers/s of {count(scenario.lengths.osl)} tokens",
            f"it takes for granted that the other pool sends as many caches of {gb(total)}: {gb(taken)}/s into each "
            "accelerator",
        ),
        (tpot, low, high),
    )
