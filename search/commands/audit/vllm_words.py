"""vLLM's words (0.33.0, ``vllm/engine/arg_utils.py``): what is given, and what it takes where nothing is said."""

from __future__ import annotations

from math import gcd

from costmodel.blocks import MoeFfn
from search.commands.audit.passed import BYTES, TIMES
from search.commands.audit.reader import Launched, Reader
from search.inputs.engine_defaults import VLLM_MEMORY, vllm_budgets, vllm_graphs
from search.inputs.engine_versions import version_of, vllm_share

# Backends that send a token to the ranks of its experts (vllm/config/parallel.py All2AllBackend, 0.33).
SPREADING = (
    "deepep_high_throughput", "deepep_low_latency", "pplx", "flashinfer_all2allv", "flashinfer_nvlink_one_sided",
    "flashinfer_nvlink_two_sided", "mori", "mori_high_throughput", "mori_low_latency", "nixl_ep",
)  # fmt: skip
GATHERING = ("allgather_reducescatter", "naive")
STAGES = "VLLM_PP_LAYER_PARTITION"
# Block-FP8 experts cut into widths that are no multiple of a block: refused by fp8.py's create_weights (vLLM 48173);
# then finer blocks, of at least 32 (53896, fused_moe/oracle/fp8.py); since 0.32 (an assumption) padded.
BLOCK, FINEST_BLOCK = 128, 32
FINER_BLOCKS, PADDED_BLOCKS = (0, 29), (0, 32)


class VllmReader(Reader):
    """``vllm serve`` and its older forms."""

    def read(self, replicas: int) -> Launched:
        """``replicas`` servers of the command."""
        c = self.command
        tp, pp, sp, groups = (c.whole(name, 1) for name in ("tp", "pp", "sp", "attn_dp"))
        self._nodes(tp * pp * sp)
        spread = c.given.get("ep") == ""
        if not self.model.has_experts:
            # Data-parallel ranks of a dense model have nothing to do with each other.
            if spread:
                self._refuse("experts_for_expert_parallel", f"{c.flag('ep')}: refused for a model without experts")
            replicas, groups, spread = replicas * groups, 1, False
        width = tp * sp * groups
        layout = {"gpus": width * pp * replicas, "tp": tp, "ep": width if spread else 1}
        layout |= {"dp": replicas, "pp": pp, "sp": sp}
        self._common()
        sequences = self._budgets()
        graphs = self._count("graphs", vllm_graphs(self.accelerator, sequences), "rows of the largest captured graph")
        self._engine(captured_tokens=graphs)
        self._tell(captured=graphs)
        self._backend(spread, groups)
        if pp > 1 and self.command.variables.get(STAGES):
            self._open(STAGES, "other layers a stage than equal shares", [*TIMES, *BYTES])
        version = version_of(self.config.engine.version)
        self._memory(c.share("memory"), VLLM_MEMORY if version is None else vllm_share(version))
        self._cache()
        self._context_parallel(tp)
        self._formats()
        if not spread:
            self._expert_blocks(width, version)
        return self.launched(layout, sequences * groups)

    def _expert_blocks(self, width: int, version: tuple[int, int] | None) -> None:
        if version is None or version >= PADDED_BLOCKS:
            return
        least = FINEST_BLOCK if version >= FINER_BLOCKS else BLOCK
        if self.model.quantization.of("experts.up").name != "fp8_block":
            return
        for inner in sorted({k.ffn.inner for k in self.model.kinds if isinstance(k.ffn, MoeFfn)}):
            if inner % width == 0 and gcd(BLOCK, inner // width) < least:
                self._refuse(
                    "fp8_expert_blocks",
                    f"{self.command.flag('tp')}: {inner} / {width} = {inner // width} cuts blocks of {BLOCK} weights",
                )

    def _budgets(self) -> int:
        """New tokens a pass and sequences. Where only the tokens are given, so many sequences at most are taken;
        without chunked prefill a pass holds the longest sequence (get_batch_defaults and _set_default_args)."""
        c = self.command
        tokens, sequences = vllm_budgets(self.accelerator)
        chunked = c.given.get("chunked") != "no"
        if not chunked and "tokens" not in c.given:
            tokens = max(tokens, self.told.length or 0)
        if "tokens" in c.given:
            sequences = min(sequences, c.whole("tokens", tokens))
        sequences = self._count("batch", sequences, "sequences an attention group")
        tokens = self._count("tokens", tokens, "new tokens a pass")
        self._tokens(tokens)
        self._tell(sequences=sequences, budget=tokens, chunked=chunked)
        return sequences

    def _backend(self, spread: bool, groups: int) -> None:
        # The variable is vLLM's to 0.10.
        backend = self.command.given.get("exchange", self.command.variables.get("VLLM_ALL2ALL_BACKEND", ""))
        if not backend or backend in GATHERING or not spread or groups == 1:
            return
        if not self._exchange(backend, SPREADING):
            self.unmodelled.append(
                (self.command.flag("exchange"), f"engine.exchange {self.config.engine.exchange} is assumed")
            )

    def _cache(self) -> None:
        c = self.command
        given = c.amount("cache_bytes")
        if given is not None:
            self._tell(cache_bytes=given)
            self.settings.append(f"{given / 2**30:.4g} GiB of cache, whatever the share ({c.flag('cache_bytes')})")
        if "blocks" in c.given:
            blocks = c.whole("blocks", 1)
            self._tell(cache_blocks=blocks)
            self.settings.append(f"{blocks} blocks of cache, whatever the share ({c.flag('blocks')})")
