"""TensorRT-LLM's words (1.2, ``tensorrt_llm/commands/serve.py``): options of ``trtllm-serve`` and of its file."""

from __future__ import annotations

from dataclasses import replace

from search.commands.audit.reader import Launched, Reader
from search.inputs.engine_defaults import TRTLLM_MEMORY
from search.optimizer.rules.start import HOLDS

# tensorrt_llm/commands/serve.py and llmapi/llm_args.py, 1.2.
SEQUENCES = 2048
TOKENS = 8192


class TrtllmReader(Reader):
    """``trtllm-serve``, with the file of options where it is known."""

    def read(self, replicas: int) -> Launched:
        """``replicas`` servers of the command."""
        c = self.command
        width, pp, sp = (c.whole(name, 1) for name in ("width", "pp", "sp"))
        self._node(width * pp * sp)
        groups = width if c.on("attn_dp") else 1
        if groups > 1:
            self.settings.append(f"{groups} attention groups ({c.flag('attn_dp')})")
        ep = c.whole("ep", max(width // c.whole("moe_tp", width), 1)) if self.model.has_experts else 1
        tp = width // groups
        layout = {"gpus": width * pp * sp * replicas, "tp": tp, "ep": ep, "dp": replicas, "pp": pp, "sp": sp}
        self._common()
        batch = self._count("batch", SEQUENCES, "sequences an attention group")
        tokens = self._count("tokens", TOKENS, "new tokens a pass")
        self._tokens(tokens)
        self._tell(sequences=batch, budget=tokens, chunked=c.given.get("chunks", "") != "no")
        self._formats()
        self._scheduling()
        free = c.share("memory")
        if free is None:
            self.settings.append(f"{TRTLLM_MEMORY:g} of what is left for the cache (trtllm's default)")
        captured = c.whole("graphs", batch)
        self._tell(captured=captured, memory_of="free", fraction=free or TRTLLM_MEMORY)
        return self.launched(layout, batch * groups)

    def _node(self, ranks: int) -> None:
        c = self.command
        if "nodes" not in c.given:
            return
        each, tiers = c.whole("nodes", 1), self.config.cluster.tiers
        if ranks > each and tiers and each < tiers[0].size:
            inner = replace(tiers[0], size=each)
            self.config = replace(self.config, cluster=replace(self.config.cluster, tiers=[inner, *tiers[1:]]))
            self.settings.append(f"cluster.tiers.0.size {each} ({c.flag('nodes')})")

    def _scheduling(self) -> None:
        """Keys of the file that the cost model has constants for."""
        c = self.command
        if c.on("prefill_graphs"):
            rows = c.whole("prefill_sizes", TOKENS)
            self._engine(prefill_graphs="counted", captured_tokens=rows)
            self.settings.append(f"engine.captured_tokens {rows} ({c.flag('prefill_sizes')})")
        if "hold" in c.given and c.given["hold"] != "0":
            steps = c.whole("hold", 1) / HOLDS["trtllm"]
            self._engine(hold_steps=steps)
            self.settings.append(f"engine.hold_steps {steps:g} ({c.flag('hold')})")
        if c.given.get("experts", "").upper() == "TRTLLM":
            self._engine(expert_kernels="generated")
            self.settings.append(f"engine.expert_kernels generated ({c.flag('experts')})")
