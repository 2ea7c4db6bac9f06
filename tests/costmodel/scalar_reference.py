"""The cost model once more, for one plan at a time, in plain floats and loops.

For models like Qwen3-235B (GQA with a norm on each head, routed experts, FP8 linear layers and cache, the rest bf16),
engines that gather and scatter tokens, two tiers of network. Groups are placed rank by rank, not by a formula.
"""

from __future__ import annotations

import math

from double_tree import double_tree, together
from scalar_case import Case

WIDE = 2.0  # bytes of an activation, and of a weight that is not quantised


class Reference:
    """One plan. Degrees as integers; every method is a figure or a step towards one."""

    def __init__(self, case: Case, tp: int, ep: int, dp: int, pp: int, sp: int, batch: int, gpus: int) -> None:
        self.case, self.tp, self.ep, self.dp, self.pp, self.sp = case, tp, ep, dp, pp, sp
        self.batch, self.gpus = batch, gpus
        self.width = gpus // (dp * pp)
        self.attn_dp = self.width // (tp * sp)
        self.moe_tp = self.width // ep
        self.query = case.heads * case.head_dim / tp
        self.kv = max(math.ceil(case.kv_heads / tp), 1) * case.head_dim
        self.up = 2 * case.inner / self.moe_tp
        self.local = math.ceil(case.experts / ep)
        shares = [case.layers // pp] * pp
        for i in range(case.layers % pp):  # what is left goes to the stages before the last, from the back
            shares[pp - 2 - i] += 1
        self.stages = shares

    # --- bytes ---------------------------------------------------------------------------------------------------
    def weights_bytes(self) -> float:
        c = self.case
        attention = c.hidden * (self.query + 2 * self.kv) + self.query * c.hidden
        experts = self.local * 3 * c.hidden * c.inner / self.moe_tp
        layer = attention + experts + WIDE * (c.hidden * c.experts + 2 * c.head_dim + 2 * c.hidden)
        table = WIDE * c.vocabulary * c.hidden / self.tp
        fullest = 0.0
        for stage, layers in enumerate(self.stages):
            size = layers * layer
            if stage == 0:
                size += table
            if stage == self.pp - 1:
                size += table + WIDE * c.hidden
            fullest = max(fullest, size)
        return fullest

    def sequence_bytes(self) -> float:
        blocks = math.ceil((self.case.isl + self.case.osl) / self.case.block)
        return 2 * self.kv * max(self.stages) * blocks * self.case.block

    def wanted(self) -> int:
        return math.ceil(self.batch / self.attn_dp)

    def kv_bytes(self) -> float:
        return self.wanted() * self.sequence_bytes()

    def activation_bytes(self) -> float:
        c = self.case
        tokens = max(c.budget, self.wanted())
        rank, routed = tokens / self.sp, tokens * self.attn_dp * c.top_k / self.ep
        if self.ep > 1:
            routed *= c.imbalance
        candidates = [
            rank * (c.hidden + self.query + 2 * self.kv) * WIDE,
            rank * 2 * self.query * WIDE,
            rank * (self.query + c.hidden) * WIDE,
            rank * (c.hidden + c.experts) * WIDE,
            routed * (c.hidden + self.up) * WIDE,
            routed * (self.up / 2 + c.hidden) * WIDE,
            self.wanted() * c.vocabulary * 4,
        ]
        return 2 * rank * c.hidden * WIDE + max(candidates)

    def free_bytes(self) -> float:
        c = self.case
        used = self.weights_bytes() + self.activation_bytes() + c.reserve_bytes
        return max(c.memory_fraction * c.memory_bytes - used, 0.0)

    def kv_capacity_tokens(self) -> float:
        token = 2 * self.kv * max(self.stages)
        return self.free_bytes() / token // self.case.block * self.case.block

    def admitted(self) -> int:
        seats = int(self.free_bytes() // self.sequence_bytes())
        return min(self.wanted(), seats) if seats else self.wanted()

    # --- seconds -------------------------------------------------------------------------------------------------
    def work(self, flops: float, moved: float) -> float:
        return max(flops / self.case.flops_per_s, moved / self.case.bytes_per_s)

    def gemm(self, rows: float, k: float, n: float, weight_bytes: float) -> float:
        return self.work(2 * rows * k * n, k * n * weight_bytes + rows * (k + n) * WIDE)

    def message(self, passes: int, size: int, stride: int, data: float) -> float:
        """An all-reduce is two passes over the data, a gather or a scatter one; tier by tier, each rank of a domain
        carrying its part to the next tier. Inside a node an all-reduce takes one pass, two, or the switch."""
        if size == 1 or not data:
            return 0.0
        near = [together(size, stride, network[0], self.gpus) for network in self.case.networks]
        if passes == 2 and near[0] < size:
            return double_tree(self.case.networks, near, data)
        seconds, inner, switch_s = 0.0, 1, self.case.switch_s
        for reached, (domain, alpha, beta) in zip(near, self.case.networks, strict=True):
            node, ways = domain == self.case.networks[0][0], reached / inner
            if ways > 1:
                part = alpha + (ways - 1) / ways * data / beta
                if passes == 2:
                    part = min(self.passes(ways, data, self.case.latencies), (switch_s or math.inf) + data / beta)
                elif node and switch_s:  # NCCL's latency and share of the links
                    part = 1.85 * alpha + (ways - 1) / ways * data / (0.74 * beta)
                seconds += part
                data /= ways
            inner = reached
        return seconds

    def passes(self, ways: float, data: float, latencies: tuple[float, float]) -> float:
        """Everybody reads all, or a scatter and a gather."""
        _, alpha, beta = self.case.networks[0]
        one = latencies[0] * alpha + (ways - 1) * data / beta
        return min(one, latencies[1] * alpha + 2 * (ways - 1) / ways * data / beta)

    def reduced(self, rows: float) -> float:
        """An all-reduce of activations and the norm after it, in one kernel where that takes no longer."""
        c, data = self.case, rows * self.case.hidden * WIDE
        apart = self.message(2, self.tp, 1, data)
        inside = self.tp > 1 and together(self.tp, 1, c.networks[0][0], self.gpus) == self.tp
        both = self.passes(self.tp, data, c.norm_latencies) if c.norm_latencies and inside else math.inf
        if 0 < data <= 64 * 2**20 and both <= apart:
            return both
        return apart + self.work(0, c.hidden * WIDE + rows * 4 * c.hidden * WIDE)

    def hop(self, rows: float) -> float:
        """From a stage to the next, for the pair that is farthest apart."""
        data, worst = rows * self.case.hidden * WIDE / self.tp, 0.0
        for rank in range(self.gpus):
            if (rank // self.width + 1) % self.pp:
                peer = rank + self.width
                tiers = [(a, b) for domain, a, b in self.case.networks if rank // domain == peer // domain]
                worst = max(worst, tiers[0][0] + data / tiers[0][1])
        return worst

    def layer(self, decodes: float, prompts: float, stage_tokens: float) -> float:
        c, d = self.case, self.case.head_dim
        new = prompts * c.isl / self.sp  # prompt rows of this rank
        rows = decodes + new
        groups = self.attn_dp * self.sp
        context, pairs = c.isl + c.osl / 2, c.isl * (c.isl + 1) / 2
        total = self.gemm(rows, c.hidden, self.query + 2 * self.kv, 1)
        total += self.work(0, 2 * d * WIDE + rows * 2 * (self.query + self.kv) * WIDE)
        total += self.message(1, self.sp, self.tp, new * 2 * self.kv * WIDE * self.sp)
        total += self.work(4 * self.query * pairs * prompts / self.sp, new * (2 * self.kv + 2 * self.query * WIDE))
        read = 2 * self.kv * (context + 1)  # and write the new token's own keys and values
        total += self.work(4 * self.query * context * decodes, decodes * (read + 2 * self.query * WIDE))
        total += self.gemm(rows, self.query, c.hidden, 1)
        total += self.reduced(rows)
        total += self.gemm(rows, c.hidden, c.experts, WIDE)
        total += self.message(1, groups, self.tp, stage_tokens * c.hidden * WIDE)
        routed = stage_tokens * c.top_k / self.ep
        hit = self.local * (1 - (1 - c.top_k / c.experts) ** stage_tokens)
        busiest = routed * (c.imbalance if self.ep > 1 else 1.0)
        for k, n in ((c.hidden, self.up), (self.up / 2, c.hidden)):
            total += self.work(2 * busiest * k * n, hit * k * n + busiest * (k + n) * WIDE)
        total += self.work(0, routed * 1.5 * self.up * WIDE)
        total += self.message(1, groups, self.tp, stage_tokens * c.hidden * WIDE)
        total += self.reduced(rows)
        return total + c.layer_overhead_s

    def step(self, decodes: float, prompts: float, stage_tokens: float, samples: float) -> tuple[float, float]:
        """Seconds of a pass through all stages, and of the slowest stage."""
        c = self.case
        rows = decodes + prompts * c.isl / self.sp
        layer = self.layer(decodes, prompts, stage_tokens)
        first = self.work(0, rows * 2 * c.hidden * WIDE) + self.message(2, self.tp, 1, rows * c.hidden * WIDE)
        last = self.work(0, c.hidden * WIDE + rows * 4 * c.hidden * WIDE)
        last += self.gemm(samples, c.hidden, c.vocabulary / self.tp, WIDE)
        last += self.message(1, self.tp, 1, samples * c.vocabulary * WIDE)
        host = c.step_overhead_s + c.sequence_overhead_s * samples * (1 + 0.3 * (self.pp - 1))
        hop = self.hop(rows) if self.pp > 1 else 0.0
        stages = [layers * layer + host + hop for layers in self.stages]
        stages[0] += first
        stages[-1] += last
        return first + c.layers * layer + last + host + (self.pp - 1) * hop, max(stages)

    def burst(self) -> float:
        """Each group fills its own passes; those between the ones in which all are full and the last are timed as their
        mean."""
        c, passes = self.case, []
        waiting = [(self.batch // self.attn_dp + (g < self.batch % self.attn_dp)) * c.isl for g in range(self.attn_dp)]
        while any(waiting):
            taken = [min(w, c.budget) for w in waiting]
            waiting = [w - t for w, t in zip(waiting, taken, strict=True)]
            passes.append((max(taken) / c.isl, sum(taken)))
        alike = max(next((i for i, p in enumerate(passes) if p != passes[0]), len(passes)), 1)
        prompts, tokens = passes[0]
        through, stage = self.step(0.0, prompts, tokens, prompts)
        burst = through + (alike - 1) * stage
        if between := passes[alike:-1]:
            assert {p for p, _ in between} == {prompts}
            mean = sum(tokens for _, tokens in between) / len(between)
            burst += len(between) * self.step(0.0, prompts, mean, prompts)[1]
        if alike < len(passes):
            prompts, tokens = passes[-1]
            burst += self.step(0.0, prompts, tokens, prompts)[1]
        return burst

    def figures(self) -> dict[str, float]:
        """Every figure by the name it has in ``Scores``."""
        c, admitted = self.case, self.admitted()
        micro = min(self.pp, max(admitted, 1))
        b, answers = admitted / micro, c.osl - 1
        share = c.isl / max(c.budget - b, c.block)  # of a step's budget that a prompt fills
        n = max(math.ceil(share), 1)
        # (N - n - D) (N - b s) = b s^2 / 2, the larger root
        p, q = n + answers + b * share, (n + answers) * b * share - b * share**2 / 2
        life = p / 2 + math.sqrt(p * p / 4 - q)
        rate = b / life
        busy = min(rate * n, 1.0)
        prompts, decodes = rate / busy, rate * answers
        groups = min(self.attn_dp, self.batch / admitted)  # that have anything to do
        if b == 1:  # of a group in a micro-batch: all but the last have one of every group
            fullest = min(self.attn_dp, self.batch)
            micro, groups = micro * groups / fullest, fullest
        some = 1 - (1 - busy) ** groups  # steps in which at least one group prefills
        stage_decodes = decodes * groups
        stage_prompts = prompts * groups * busy / some
        plain, plain_stage = self.step(decodes, 0.0, stage_decodes, decodes)
        mixed, mixed_stage = self.step(decodes, prompts, stage_decodes + stage_prompts * c.isl, decodes + prompts)
        # What a decoding request sees: its own prefill is over, the others' are not.
        own = n / life
        seen = 1 - (1 - max(busy - own, 0.0) / (1 - own if own < 1 else 1)) * (1 - busy) ** max(groups - 1, 0)
        quiet = (1 - some) ** (micro - 1)  # rounds in which no other micro-batch of the pipeline prefills
        some, seen = 1 - (1 - some) * quiet, 1 - (1 - seen) * quiet
        mean = (1 - seen) * plain + seen * mixed
        mean_stage = (1 - seen) * plain_stage + seen * mixed_stage
        tpot = max(mean, micro * mean_stage)
        queue = max(life - n - answers, 0.0)
        # A request falls into a step of the loop of the others, a long one being hit more often than a short one.
        others = max(b * micro * groups - 1, 0.0)
        without, long = max(plain, micro * plain_stage), max(mixed, micro * mixed_stage)
        usual = without + (hit_share := some * others / (1 + others)) * (long - without)
        hit = ((1 - hit_share) * without**2 + hit_share * long**2) / usual
        joining = rate * others / (1 + others) * hit / usual
        arrival = min(others, 1.0) * (hit / 2 + c.steps_ahead * tpot)
        more = max(1 + joining - prompts * n, 0.0)
        own = (n - 1) * long + mixed + more * max(long - without, 0.0) / prompts
        request = c.request_overhead_s + c.prompt_token_s * c.isl
        stay = arrival + queue * tpot + own + request + answers * tpot
        # Tokens leave one after the other: (T - stay) (T - served w) = served w^2 / 2.
        work, served = c.osl * c.stream_token_s, min(admitted * self.attn_dp, self.batch)
        p, q = stay + served * work, stay * served * work - served * work**2 / 2
        stay = p / 2 + math.sqrt(p * p / 4 - q)
        ttft = stay - answers * tpot + max(self.batch / served - 1, 0.0) * stay
        burst = self.burst() + request
        return {
            "ttft_s": ttft,
            "burst_ttft_s": burst,
            "tpot_s": tpot,
            "output_tokens_per_s": self.dp * self.batch * c.osl / (ttft + answers * tpot),
            "weights_bytes_per_gpu": self.weights_bytes(),
            "kv_cache_bytes_per_gpu": self.kv_bytes(),
            "activation_bytes_per_gpu": self.activation_bytes(),
            "kv_capacity_tokens": self.kv_capacity_tokens(),
            **self.limits(min(decodes * micro * self.attn_dp, self.batch)),
        }

    # --- the physical limit --------------------------------------------------------------------------------------
    def ideal(self, decodes: float, prompts: float) -> tuple[float, float]:
        """Seconds computing and seconds reading, on all accelerators of a replica at once, nothing held twice."""
        c, tokens = self.case, decodes + prompts * self.case.isl
        query, kv, expert = c.heads * c.head_dim, c.kv_heads * c.head_dim, 3 * c.hidden * c.inner
        dense = 2 * c.hidden * (query + kv)
        flops = 2 * tokens * (dense + c.hidden * c.experts + c.top_k * expert)
        context, pairs = c.isl + c.osl / 2, c.isl * (c.isl + 1) / 2
        flops += 4 * query * (pairs * prompts + context * decodes)
        moved = c.experts * (1 - (1 - c.top_k / c.experts) ** tokens) * expert
        moved += dense + WIDE * (c.hidden * c.experts + 2 * c.head_dim + 2 * c.hidden)
        moved += 2 * kv * (prompts * c.isl + decodes * (context + 1))
        head, gpus = c.hidden * c.vocabulary, self.gpus / self.dp
        flops = c.layers * flops + 2 * (decodes + prompts) * head
        moved = c.layers * moved + WIDE * (head + c.hidden)
        return flops / c.flops_per_s / gpus, moved / c.bytes_per_s / gpus

    def limits(self, decoding: float) -> dict[str, float]:
        steps = self.case.osl - 1
        decode, prompt, burst = self.ideal(self.batch, 0), self.ideal(0, 1), self.ideal(0, self.batch)
        cycle = max(self.batch * prompt[0] + steps * decode[0], steps * decode[1] if steps else burst[1])
        return {
            "limit_ttft_s": max(prompt),
            "limit_burst_ttft_s": max(burst),
            "limit_tpot_s": max(self.ideal(decoding, 0)),
            "limit_output_tokens_per_s": self.dp * self.batch * self.case.osl / cycle,
        }
