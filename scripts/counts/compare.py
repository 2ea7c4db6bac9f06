"""Our reader against what transformers builds: parameters of the language model and of its towers, to the unit.

    python scripts/counts/compare.py BUILT.jsonl [--docs docs/models.md] [--all]

Reads the lines of build.py. Each model's config is read in both forms, through the same door as a user's file. The
table says of each: exact, off (by how much), refused (our reason) or a crash. Exit 1 if any is off or crashes.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from scope import OUT_OF_SCOPE

from costmodel.parameters import parameters
from search.base.errors import InputError
from search.inputs.models import load_config_json, read_architecture

FORMS = ("published", "saved")
BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"


def verdict(config: dict[str, Any], language: int, vision: int) -> tuple[str, str]:
    """The state of one form and what stands behind it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        try:
            read = read_architecture(load_config_json(path), name="model").architecture
            ours = parameters(read), read.vision_parameters
        except InputError as error:
            return "refused", str(error)
        except Exception as error:
            return "crash", f"{type(error).__name__}: {error}"
    by = (ours[0] - language, ours[1] - vision)
    return ("exact", "") if by == (0, 0) else ("off", f"language {by[0]:+,}, rest {by[1]:+,}")


def judged(record: dict[str, Any]) -> dict[str, Any]:
    """A record with the state and the reason of each form."""
    if "error" in record and "known" not in record:
        return {**record, "states": ["not built"] * 2, "reasons": [record["error"]] * 2}
    pairs = [verdict(record["forms"][form], record["language"], record["vision"]) for form in FORMS]
    return {**record, "states": [p[0] for p in pairs], "reasons": [p[1] for p in pairs]}


def known(record: dict[str, Any]) -> dict[str, Any]:
    """For a file whose type transformers does not know: the counts beside it (parameters.csv), where it has a row."""
    table = Path(record.get("path", "/nowhere")).with_name("parameters.csv")
    if "error" in record and table.is_file():
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["config"] == record["subject"]:
                    config = json.loads(Path(record["path"]).read_text(encoding="utf-8"))
                    counts = {"language": int(row["language_parameters"]), "vision": int(row["vision_parameters"])}
                    return {**record, **counts, "known": True, "forms": dict.fromkeys(FORMS, config)}
    return record


def group_of(record: dict[str, Any]) -> str:
    out = record["model_type"] in OUT_OF_SCOPE and "path" not in record
    return "not served as such" if out else str(record["group"])


def line(record: dict[str, Any]) -> str:
    """One model as a row of the table."""
    states, reasons = record["states"], record["reasons"]
    same = states[0] == states[1] and reasons[0] == reasons[1]
    told = [f"{s}: {r}" if r else s for s, r in zip(states, reasons, strict=True)]
    return f"{group_of(record):20} {record['model_type']:28} {record['subject'][:44]:44} " + (
        told[0] if same else f"published {told[0]} | saved {told[1]}"
    )


def summary(versions: dict[str, str], records: list[dict[str, Any]]) -> str:
    """A markdown table: models by group and by the worse of their two states."""
    worst = {state: n for n, state in enumerate(("exact", "refused", "off", "crash", "not built"))}
    lines = [
        f"transformers {versions['transformers']}, torch {versions['torch'].split('+')[0]}; both forms of each config.",
        "",
        "| group | models | exact | refused | off | crash | not built by transformers | exact of those built |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group in dict.fromkeys(group_of(r) for r in records):
        mine = [max(r["states"], key=lambda s: worst[s]) for r in records if group_of(r) == group]
        counts = Counter(mine)
        could = len(mine) - counts["not built"]
        share = f"{100 * counts['exact'] / could:.0f} %" if could else "-"
        cells = [counts[s] for s in ("exact", "refused", "off", "crash", "not built")]
        lines.append(f"| {group} | {len(mine)} | " + " | ".join(map(str, cells)) + f" | {share} |")
    return "\n".join(lines)


def write_docs(path: Path, text: str) -> None:
    """Put ``text`` between the page's two marks."""
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("built", type=Path)
    parser.add_argument("--docs", type=Path, help="page whose summary is to be renewed")
    parser.add_argument("--all", action="store_true", help="list the exact ones too")
    parser.add_argument("--only", default="", help="only models whose type or name has this word")
    options = parser.parse_args()
    first, *rest = options.built.read_text(encoding="utf-8").splitlines()
    lines = [json.loads(text) for text in rest]
    wanted = [r for r in lines if options.only.lower() in f"{r.get('model_type')} {r['subject']} {r['group']}".lower()]
    records = [judged(known(r)) for r in wanted]
    for record in sorted(records, key=lambda r: (group_of(r), r["states"], r["model_type"])):
        if options.all or record["states"] != ["exact"] * 2:
            print(line(record))
    table = summary(json.loads(first), records)
    print("\n" + table)
    if options.docs:
        write_docs(options.docs, table)
    return int(any(state in ("off", "crash") for r in records for state in r["states"]))


if __name__ == "__main__":
    sys.exit(main())
