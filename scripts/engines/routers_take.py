"""Ask the routers of split plans whether they take their commands: vllm-router and sglang_router.

Runs in an environment that has both (written for vllm-router 0.1.17 and sglang-router 0.3.2) and nothing of servefront.
One JSON object a line on standard input, ``{"id", "router", "argv"}``: ``argv`` after the program; one answer a line.
The router itself, which is Rust, is built from what was parsed and not started.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

PACKAGES = {"vllm": "vllm_router", "sglang": "sglang_router"}


def taken(router: str, argv: list[str]) -> Any:
    """The arguments as the router runs them; whatever it raises says why it does not."""
    package = PACKAGES[router]
    args = import_module(f"{package}.launch_router").parse_router_args(argv)
    args._validate_router_args()
    found = {"prefill": args.prefill_urls, "decode": args.decode_urls, "waits_s": args.worker_startup_timeout_secs}
    import_module(f"{package}.router").Router.from_args(args)
    return found


def main() -> None:
    """Answer every line."""
    for line in sys.stdin:
        case = json.loads(line)
        answer = {"id": case["id"], "error": None, "version": version(PACKAGES[case["router"]].replace("_", "-"))}
        try:
            answer |= taken(case["router"], case["argv"])
        except (Exception, SystemExit) as error:
            answer["error"] = f"{type(error).__name__}: {error}"[:500]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
