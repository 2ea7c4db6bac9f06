"""Ask Kubernetes' own schemas (kubernetes-validate) about objects: no field that they do not know, every type right.

Runs in an environment with kubernetes-validate (written for 1.37.0). One JSON object a line on standard input,
``{"id", "object", "kubernetes"}``, the last the version to hold it against; one answer a line.
"""

from __future__ import annotations

import json
import sys

import kubernetes_validate


def main() -> None:
    """Answer every line."""
    for line in sys.stdin:
        case = json.loads(line)
        answer = {"id": case["id"], "error": None}
        try:
            kubernetes_validate.validate(case["object"], case["kubernetes"], strict=True)
        except kubernetes_validate.ValidationError as error:
            answer["error"] = f"{list(error.path)}: {error.message}"[:500]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
