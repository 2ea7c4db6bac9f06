"""Ask vLLM itself whether it takes launch commands: its own argument parser and configuration checks.

Runs in an environment that has vLLM (written for 0.33.0) and nothing of servefront. Reads one JSON object a line on
standard input, ``{"id", "argv", "model"}``: ``argv`` after ``vllm serve``, ``model`` the fields of a config.json with
its architectures, ``draft`` those of a drafter's checkpoint, which ``argv`` calls DRAFT. Prints one JSON object a line,
``{"id", "error", "world", ...}``; ``error`` is null where vLLM builds its configuration. No accelerator is needed: the
platform is told that it is CUDA with 8 devices of compute capability 9.0. The wheel's extensions want libcuda.so.1 to
load; where there is none, any library of that name that has the symbols they ask for.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

# No visible device: vLLM then takes Triton as usable without a driver (vllm/triton_utils/importing.py), as where
# workers get theirs later; else it chooses the older model runner, and some modules do not load.
os.environ.update(HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="ERROR", CUDA_VISIBLE_DEVICES="")

import vllm.platforms
from vllm.platforms.cuda import NonNvmlCudaPlatform
from vllm.platforms.interface import DeviceCapability


class Hopper(NonNvmlCudaPlatform):  # type: ignore[misc]
    """What configuration asks of a node with eight H100."""

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
        return DeviceCapability(9, 0)

    @classmethod
    def has_device_capability(cls, capability: Any, device_id: int = 0) -> bool:
        return (capability if isinstance(capability, int) else capability[0] * 10 + capability[1]) <= 90

    @classmethod
    def get_device_name(cls, device_id: int = 0) -> str:
        return "NVIDIA H100 80GB HBM3"

    @classmethod
    def get_device_total_memory(cls, device_id: int = 0) -> int:
        return 80 * 2**30

    @classmethod
    def device_count(cls) -> int:
        return 8

    @classmethod
    def log_warnings(cls) -> None:
        pass


def config_of(argv: list[str], folder: str) -> Any:
    """vLLM's configuration; whatever it raises says why there is none. Imported late: modules take the platform as it
    is when they are loaded."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.common.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.usage.usage_lib import UsageContext
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = make_arg_parser(FlexibleArgumentParser())
    args = parser.parse_args([*argv, "--skip-tokenizer-init"])
    validate_parsed_serve_args(args)
    args.model = args.model_tag = folder
    return AsyncEngineArgs.from_cli_args(args).create_engine_config(
        UsageContext.OPENAI_API_SERVER, headless=args.headless
    )


def address(parallel: Any) -> dict[str, Any]:
    """Where the ranks of several nodes meet, as vLLM hands it to PyTorch (vllm/utils/network_utils.py)."""
    if parallel.nnodes == 1:
        return {}
    from urllib.parse import urlsplit

    from vllm.utils.network_utils import get_distributed_init_method

    found = urlsplit(get_distributed_init_method(parallel.master_addr, parallel.master_port))
    return {"host": found.hostname, "port": found.port, "nodes": parallel.nnodes, "rank": parallel.node_rank}


def said(config: Any) -> dict[str, Any]:
    """What the configuration comes to."""
    told, drafts = config.kv_transfer_config, config.speculative_config
    return {
        "world": config.parallel_config.world_size_across_dp,
        "length": config.model_config.max_model_len,
        "batch": config.scheduler_config.max_num_seqs,
        "tokens": config.scheduler_config.max_num_batched_tokens,
        "dealt": config.parallel_config.decode_context_parallel_size,
        "part": told and told.kv_role,
        "drafts": drafts and drafts.num_speculative_tokens,
    }


def main() -> None:
    """Answer every line."""
    vllm.platforms._current_platform = Hopper()
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            case = json.loads(line)
            (Path(folder) / "config.json").write_text(json.dumps(case["model"]))
            drafter = Path(folder) / "drafter"
            if "draft" in case:
                drafter.mkdir(exist_ok=True)
                (drafter / "config.json").write_text(json.dumps(case["draft"]))
            argv = [word.replace("DRAFT", str(drafter)) for word in case["argv"]]
            answer: dict[str, Any] = {"id": case["id"], "error": None, "version": version("vllm")}
            try:
                config = config_of(argv, folder)
                answer |= address(config.parallel_config)
            except (Exception, SystemExit) as error:
                answer["error"] = f"{type(error).__name__}: {error}"[:500]
            else:
                answer |= said(config)
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
