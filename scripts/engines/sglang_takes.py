"""Ask SGLang itself whether it takes launch commands: its argument parser, the resolution of arguments and its checks.

As ``vllm_takes.py``, for 0.5.23: one JSON object a line on standard input, ``{"id", "argv", "model"}``, ``argv`` after
``sglang.launch_server``, and ``draft``; one answer a line. PyTorch is told that there are eight H100; libcuda.so.1 may
be any library of that name.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

MEMORY_BYTES = 80 * 2**30


def pretend_eight_h100() -> None:
    """What the resolution asks PyTorch for."""
    name = "NVIDIA H100 80GB HBM3"
    properties = SimpleNamespace(name=name, major=9, minor=0, total_memory=MEMORY_BYTES, multi_processor_count=132)
    answers: dict[str, Any] = {
        "is_available": True,
        "device_count": 8,
        "current_device": 0,
        "get_device_capability": (9, 0),
        "get_device_name": name,
        "get_device_properties": properties,
        "mem_get_info": (MEMORY_BYTES - 2**30, MEMORY_BYTES),
    }
    for function, answer in answers.items():
        setattr(torch.cuda, function, lambda *_, answer=answer: answer)


def resolved(argv: list[str]) -> Any:
    """SGLang's arguments as it would run them; whatever it raises says why it would not."""
    from sglang.srt.arg_groups.overrides import resolving_view
    from sglang.srt.server_args import prepare_server_args

    arguments = prepare_server_args(argv)
    arguments.resolve_once()
    arguments.check_server_args()  # as sglang/srt/entrypoints/engine.py does before it starts anything
    return resolving_view(arguments)


def address(view: Any) -> dict[str, Any]:
    """Where the ranks of several nodes meet, by SGLang's own parser of it (sglang/srt/utils/network.py)."""
    if view.dist_init_addr is None:
        return {}
    from sglang.srt.utils.network import NetworkAddress

    found = NetworkAddress.parse(view.dist_init_addr)
    return {"host": found.host, "port": found.port, "nodes": view.nnodes, "rank": view.node_rank}


def main() -> None:
    """Answer every line."""
    pretend_eight_h100()
    for n, line in enumerate(sys.stdin):
        case = json.loads(line)
        with tempfile.TemporaryDirectory(prefix=f"model{n}-") as folder:  # read configurations are cached by path
            (Path(folder) / "config.json").write_text(json.dumps(case["model"]))
            drafter = Path(folder) / "drafter"
            if "draft" in case:
                drafter.mkdir()
                (drafter / "config.json").write_text(json.dumps(case["draft"]))
            argv = [word.replace("DRAFT", str(drafter)) for word in case["argv"]]
            argv[argv.index("--model-path") + 1] = folder
            answer: dict[str, Any] = {"id": case["id"], "error": None, "version": version("sglang")}
            try:
                view = resolved(argv)
                answer |= address(view)
            except (Exception, SystemExit) as error:
                answer["error"] = f"{type(error).__name__}: {error}"[:500]
            else:
                answer["world"] = view.tp_size * view.pp_size
                answer["attn_dp"], answer["ep"] = view.attn_dp_size, view.ep_size
                answer["tokens"], answer["batch"] = view.chunked_prefill_size, view.max_running_requests
                answer["part"] = view.disaggregation_mode
                answer["dealt"] = view.dcp_size
                answer["drafts"] = view.speculative_num_draft_tokens
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
