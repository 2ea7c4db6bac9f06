"""Ask Dynamo's worker for vLLM whether it takes the arguments of a component of a DynamoGraphDeployment.

As ``vllm_takes.py``, in an environment with ai-dynamo (written for 1.6.1) and the vLLM that its image has (0.31.0):
Dynamo's parser, its checks and vLLM's configuration. ``argv`` after ``python3 -m dynamo.vllm``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import vllm_takes


def config_of(argv: list[str]) -> tuple[Any, Any]:
    """Dynamo's configuration and vLLM's; whatever they raise says why there is none."""
    from dynamo.vllm.args import parse_args
    from vllm.usage.usage_lib import UsageContext

    config = parse_args([*argv, "--discovery-backend", "mem"])
    config.engine_args.skip_tokenizer_init = True
    return config, config.engine_args.create_engine_config(UsageContext.OPENAI_API_SERVER)


def main() -> None:
    """Answer every line."""
    vllm_takes.vllm.platforms._current_platform = vllm_takes.Hopper()
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            case = json.loads(line)
            (Path(folder) / "config.json").write_text(json.dumps(case["model"]))
            argv = list(case["argv"])
            argv[argv.index("--model") + 1] = folder
            answer: dict[str, Any] = {"id": case["id"], "error": None, "version": version("ai-dynamo")}
            try:
                config, engine = config_of(argv)
            except (Exception, SystemExit) as error:
                answer["error"] = f"{type(error).__name__}: {error}"[:500]
            else:
                answer |= vllm_takes.said(engine)
                answer["component"] = config.component
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
