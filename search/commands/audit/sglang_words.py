"""SGLang's words (0.5.23, ``sglang/srt/arg_groups``): what is given, and what it takes where nothing is said."""

from __future__ import annotations

from search.base.errors import InputError
from search.commands.audit.drafts import SGLANG_REQUESTS as DRAFTING_REQUESTS
from search.commands.audit.reader import Launched, Reader
from search.inputs.engine_defaults import (
    SGLANG_PREFILL_TOKENS,
    SGLANG_REQUESTS,
    sglang_chunk,
    sglang_graphs,
    sglang_static,
)
from search.optimizer.rules.start import HOLDS

# SGLang's all-to-all backends that spread the experts over the whole stage (srt/arg_groups/moe_hook.py, 0.5.23).
SPREADING = ("deepep", "deepep_v2", "mooncake", "nixl", "mori", "ascend_fuseep", "megamoe", "pplx")


class SglangReader(Reader):
    """``sglang.launch_server``."""

    def read(self, replicas: int) -> Launched:
        """``replicas`` servers of the command."""
        c = self.command
        width, pp, sp, ep = (c.whole(name, 1) for name in ("width", "pp", "sp", "ep"))
        self._nodes(width * pp)
        groups, copies = c.whole("attn_dp", 1), c.whole("dp", 1)
        if c.on("old_attn_dp") and groups == 1:  # --dp-size meant attention groups (parallel_hook.py, 0.5.23)
            groups, copies = copies, 1
        if width % (groups * sp):
            raise InputError(
                f"{c.flag('width')}: {width} is not allowed; give a multiple of {c.flag('attn_dp')} {groups} times "
                f"{c.flag('sp')} {sp}"
            )
        backend = "deepep" if c.on("old_exchange") else c.given.get("exchange", "none")
        if self._exchange(backend, SPREADING) or (c.on("old_ep") and self.model.has_experts):
            ep = width
            self.settings.append(f"ep {ep} (experts over the whole stage)")
        elif backend != "none":
            self.unmodelled.append((c.flag("exchange"), f"engine.exchange {self.config.engine.exchange} is assumed"))
        dp = replicas * copies
        layout = {"gpus": width * pp * dp, "tp": width // (groups * sp), "ep": ep, "dp": dp, "pp": pp, "sp": sp}
        self._common()
        most = DRAFTING_REQUESTS if "draft_algorithm" in c.given else SGLANG_REQUESTS
        batch = self._count("batch", most, "sequences a replica")
        self._tokens(self._chunk() // groups)
        self._tell(sequences=-(-batch // groups), budget=self.config.engine.max_batched_tokens)
        self._prefill_graphs()
        if "hold" in c.given:
            interval = c.whole("hold", 1)
            self._engine(hold_steps=interval / HOLDS["sglang"] if interval > 1 else 0.0)
            self.settings.append(f"engine.hold_steps {self.config.engine.hold_steps:g} ({c.flag('hold')} {interval})")
        if "cache_tokens" in c.given:
            most = c.whole("cache_tokens", 1)
            self._tell(most_tokens=most)
            self.settings.append(f"at most {most} tokens of cache ({c.flag('cache_tokens')})")
        self._context_parallel(width // (groups * sp))
        self._formats()
        captured = c.whole("graphs", sglang_graphs(self.accelerator, width))
        self._tell(captured=captured, memory_of="static", fraction=self._static(width, pp))
        return self.launched(layout, batch)

    def _static(self, width: int, pp: int) -> float:
        """The share of weights and cache. SGLang leaves room for graphs up to the largest batch that is captured."""
        c = self.command
        given = c.share("memory")
        if given is not None:
            return given
        share = sglang_static(self.accelerator, width, pp)
        usual, largest = sglang_graphs(self.accelerator, width), c.whole("graphs", 1)
        if "graphs" in c.given:
            share -= 2.0 * (largest - usual) * 2.0**20 / self.accelerator.memory_bytes
        share = min(max(share, 0.1), 1.0)
        self.settings.append(f"{share:.3f} of the memory for weights and cache (SGLang's own estimate)")
        return share

    def _chunk(self) -> int:
        given = self.command.given.get("tokens")
        if given == "-1":  # no chunks: a pass takes whole prompts
            most = self.command.whole("prefill_tokens", SGLANG_PREFILL_TOKENS)
            self.settings.append(f"whole prompts a pass, {most} tokens of them ({self.command.flag('tokens')} -1)")
            return max(most, self.config.workload.isl)
        return self._count("tokens", sglang_chunk(self.accelerator), "new tokens a pass of all attention groups")

    def _prefill_graphs(self) -> None:
        """Where the command counts them; else SGLang's own rules."""
        c = self.command
        for name, tokens in (("no_prefill_graphs", 0), ("prefill_graphs", c.whole("prefill_graphs", 1))):
            if name in c.given:
                self._engine(prefill_graphs="counted", captured_tokens=tokens)
                self.settings.append(f"engine.captured_tokens {tokens} ({c.flag(name)})")
                return
