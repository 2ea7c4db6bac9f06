"""The table of docs/split.md: our best plans beside a peer's, each judged by the other's model.

``python scripts/split_table.py aiconfigurator_0_12.csv --peer aiconfigurator``: the peer's answers, columns as in the
shared data's file, and the peer's command (AIConfigurator 0.12); without it our plans are judged by our model alone.
"""

from __future__ import annotations

import argparse
import csv
import re
import subprocess
from pathlib import Path

import numpy as np

from costmodel.evaluate import evaluate
from costmodel.plans import Plans
from costmodel.scenario import Scenario
from costmodel.serving.split.journey import Transfer, link_of
from costmodel.serving.split.loop import Pool, split_loop
from search.inputs.compose import composed
from search.optimizer.outcome import Outcome
from search.optimizer.run import run
from search.render.document.split_words import plan_in_words

MODELS = {"DeepSeek-R1": "deepseek_r1", "Qwen3-235B-A22B": "qwen3_235b_fp8"}
PEERS = {"DeepSeek-R1": "deepseek-ai/DeepSeek-R1", "Qwen3-235B-A22B": "Qwen/Qwen3-235B-A22B-FP8"}
DEGREES = re.compile(r"(?:(\d+) x )?tp(\d+)pp(\d+)dp(\d+)(?:cp(\d+))?etp(\d+)ep(\d+)(?: bs (\d+))?")
ESTIMATE = re.compile(r"^ +(TTFT|TPOT|tokens/s): +([\d.,]+)", re.MULTILINE)  # of the peer's summary


def instance(text: str) -> tuple[int, Plans, int]:
    """Instances, the plan of one and its batch, from ``2 x tp1pp1dp8etp1ep8 bs 40``."""
    found = DEGREES.search(text)
    assert found is not None, text
    count, tp, pp, dp, cp, _, ep, batch = (int(part or 1) for part in found.groups())
    plan = Plans.of(gpus=tp * pp * dp * cp, tp=tp, pp=pp, sp=cp, ep=ep, batch=batch * dp)
    return count, plan, batch


def searched(row: dict[str, str]) -> Outcome:
    gpus, isl, osl = int(row["gpus"]), int(row["isl"]), int(row["osl"])
    replicas = [d for d in (1, 2, 4) if gpus // d >= 8]
    return run(composed([
        f"model={MODELS[row['model']]}", f"hardware={row['system']}", f"engine={row['engine']}", "strategy=exact",
        f"workload.isl={isl}", f"workload.osl={osl}", "limits=interactive", "limits.ttft_s=2", "limits.tpot_s=0.04",
        f"space.gpus=[{gpus}]", f"space.dp={replicas}", "space.pp=1", "space.sp=1", "space.tp=[1,2,4,8,16]",
        "space.ep=[1,2,4,8,16,32]", 'space.batch="8:1024:8"', "space.serving=[aggregated,split]",
        "report=none", "sensitivity=none",
    ], None))  # fmt: skip


def judged(outcome: Outcome, row: dict[str, str]) -> str:
    """Tokens a second and GPU, TTFT and TPOT that our model gives the peer's plan."""
    scenario: Scenario = outcome.scenario
    if row["mode"] == "agg":
        _, plan, _ = instance(row["layout"])
        copies = int(row["gpus"]) // int(plan.gpus[0])
        batch = int(row["concurrency"].split(" ")[0]) // copies
        own = Plans.of(**(plan.row(0) | {"gpus": int(row["gpus"]), "dp": copies, "batch": batch}))
        s = evaluate(scenario, own)
        return told(s.output_tokens_per_s_per_gpu[0], s.ttft_s[0], s.tpot_s[0])
    first, second = (instance(part) for part in row["layout"].split("; "))
    if int(first[1].sp[0]) > 1:
        return "not judged: context parallel prefill"
    total = first[0] * int(first[1].gpus[0]) + second[0] * int(second[1].gpus[0])
    link = link_of(scenario.cluster, Transfer(), total)
    in_flight = np.array([float(row["concurrency"].split(" ")[0])])
    loop = split_loop(Pool(scenario, first[1], first[0]), Pool(scenario, second[1], second[0]), link, in_flight)
    speed = loop.requests_per_s[0] * scenario.lengths.osl / int(row["gpus"])
    return told(speed, loop.ttft_s[0], loop.tpot_s[0])


def by_peer(outcome: Outcome, row: dict[str, str], peer: str) -> str:
    """What ``aiconfigurator cli estimate`` says of our best plan."""
    if row["mode"] == "agg":
        if outcome.choice is None:
            return ""
        plan = outcome.plans.take([outcome.choice.recommended])
        gpus, parts = int(plan.gpus[0] // plan.dp[0]), peers_options("", plan)
    else:
        best = outcome.split.best if outcome.split else None
        if best is None:
            return ""
        first, second = best.prefill.plans.take(best.p), best.decode.plans.take(best.d)
        x, y = int(best.x[0]), int(best.y[0])
        gpus = x * int(first.gpus[0]) + y * int(second.gpus[0])
        parts = [*peers_options("prefill-", first), "--prefill-num-workers", str(x)]
        parts += [*peers_options("decode-", second), "--decode-num-workers", str(y)]
    command = [peer, "cli", "estimate", "--no-color", "--model-path", PEERS[row["model"]], "--system", row["system"]]
    command += ["--backend", row["engine"], "--isl", row["isl"], "--osl", row["osl"], "--estimate-mode", row["mode"]]
    ran = subprocess.run([*command, *parts], capture_output=True, text=True, check=False)
    found = {key: float(value.replace(",", "")) for key, value in ESTIMATE.findall(ran.stdout)}
    if len(found) < 3:
        return "refused"
    return told(found["tokens/s"] / gpus, found["TTFT"] / 1e3, found["TPOT"] / 1e3)


def peers_options(pool: str, plan: Plans) -> list[str]:
    """A plan of one row in the peer's words: ``batch-size`` is of one attention group, one prompt where it prefills."""
    width = int(plan.gpus[0] // (plan.dp[0] * plan.pp[0]))
    batch = 1 if pool == "prefill-" else max(round(int(plan.batch[0]) / int(plan.attn_dp[0])), 1)
    values = {
        "tp-size": int(plan.tp[0]), "pp-size": int(plan.pp[0]), "attention-dp-size": int(plan.attn_dp[0]),
        "moe-tp-size": width // int(plan.ep[0]), "moe-ep-size": int(plan.ep[0]), "batch-size": batch,
    }  # fmt: skip
    return [word for name, value in values.items() for word in (f"--{pool}{name}", str(value))]


def told(speed: float, ttft: float, tpot: float) -> str:
    return f"{speed:,.0f}, {ttft:.2f} s, {tpot * 1e3:.1f} ms"


def ours(outcome: Outcome, mode: str) -> str:
    if mode == "agg":
        if outcome.choice is None:
            return "none keeps the limits"
        i, s = outcome.choice.recommended, outcome.scores
        plan = outcome.plans.row(i)
        words = " ".join(f"{a} {plan[a]}" for a in ("dp", "tp", "ep", "batch"))
        return f"{words}: {told(s.output_tokens_per_s_per_gpu[i], s.ttft_s[i], s.tpot_s[i])}"
    best = outcome.split.best if outcome.split else None
    if best is None:
        return "none keeps the limits"
    f = best.figures
    speed = best.column("output_tokens_per_s_per_gpu")[0]
    return f"{plan_in_words(best)}: {told(speed, f.ttft_s[0], f.tpot_s[0])}"


def short(text: str) -> str:
    """``2p (8: tp 4) + 1d (16: tp 1, batch 64)`` for the words of a split plan; a peer's without degrees of one."""
    text = re.sub(r"(\d+) x prefill \((\d+) GPUs:", r"\1p (\2:", text)
    text = re.sub(r" and (\d+) x decode \((\d+) GPUs:", r" + \1d (\2:", text)
    return text.replace("prefill ", "").replace("decode ", "").replace("pp1", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--peer", metavar="COMMAND")
    options = parser.parse_args()
    with options.file.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rank"] == "1"]
    outcomes: dict[tuple[str, ...], Outcome] = {}
    print("| model, GPUs, lengths, engine | mode | our best | by the peer's model | the peer's best | by our model |")
    print("| :-- | :-- | :-- | :-- | :-- | :-- |")
    for row in rows:
        key = tuple(row[name] for name in ("model", "gpus", "isl", "osl", "engine"))
        if key not in outcomes:
            outcomes[key] = searched(row)
        figures = float(row["tokens_s_gpu"]), float(row["ttft_ms"]) / 1e3, 1.0 / float(row["tokens_s_user"])
        theirs = f"{row['layout']}: {told(*figures)}"
        model, gpus, isl, osl, engine = key
        mine = short(ours(outcomes[key], row["mode"]))
        answer = by_peer(outcomes[key], row, options.peer) if options.peer else ""
        print(f"| {model}, {gpus}, {isl}/{osl}, {engine} | {row['mode']} | {mine} | {answer} | {short(theirs)} "
              f"| {judged(outcomes[key], row)} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
