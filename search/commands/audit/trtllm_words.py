"""TensorRT-LLM's words (1.2, ``tensorrt_llm/commands/serve.py``): options of ``trtllm-serve``."""

from __future__ import annotations

from dataclasses import replace

from search.commands.audit.reader import Launched, Reader
from search.inputs.engine_defaults import TRTLLM_MEMORY

# tensorrt_llm/commands/serve.py and llmapi/llm_args.py, 1.2.
SEQUENCES = 2048
TOKENS = 8192


class TrtllmReader(Reader):
    """``trtllm-serve``. Attention data parallelism is a key of its file of options, which is not read."""

    def read(self, replicas: int) -> Launched:
        """``replicas`` servers of the command."""
        c = self.command
        width, pp, sp, ep = (c.whole(name, 1) for name in ("width", "pp", "sp", "ep"))
        if "nodes" in c.given:
            ranks, each = width * pp * sp, c.whole("nodes", 1)
            tiers = self.config.cluster.tiers
            if ranks > each and tiers and each < tiers[0].size:
                inner = replace(tiers[0], size=each)
                self.config = replace(self.config, cluster=replace(self.config.cluster, tiers=[inner, *tiers[1:]]))
                self.settings.append(f"cluster.tiers.0.size {each} ({c.flag('nodes')})")
        layout = {"gpus": width * pp * sp * replicas, "tp": width, "ep": ep, "dp": replicas, "pp": pp, "sp": sp}
        self._common()
        batch = self._count("batch", SEQUENCES, "sequences a replica")
        tokens = self._count("tokens", TOKENS, "new tokens a pass")
        self._tokens(tokens)
        self._tell(sequences=batch, budget=tokens)
        self._formats()
        free = c.share("memory")
        if free is None:
            self.settings.append(f"{TRTLLM_MEMORY:g} of what is left for the cache (trtllm's default)")
        self._tell(captured=batch, memory_of="free", fraction=free or TRTLLM_MEMORY)
        return self.launched(layout, batch)
