"""Request traces: when each request came, how long its prompt and its answer were, which blocks its prompt has.

Read line by line, no further than asked, gzipped or not. CSV with a header, or a JSON object a line. Columns go by the
names that public traces give them: Azure's (TIMESTAMP, ContextTokens, GeneratedTokens), Mooncake's (timestamp in
milliseconds, input_length, output_length, hash_ids of 512 tokens), ServeGen's and our own (arrival_s, prompt_tokens,
answer_tokens).
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from array import array
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from costmodel.serving.simulation.requests import Requests
from search.base.errors import InputError
from search.inputs.schema import MOST_TOKENS

TIMES = ("arrival_s", "timestamp", "TIMESTAMP", "arrival_time", "arrived_at")
PROMPTS = ("prompt_tokens", "ContextTokens", "input_length", "input_tokens", "request_tokens", "num_prefill_tokens")
ANSWERS = ("answer_tokens", "GeneratedTokens", "output_length", "output_tokens", "response_tokens", "num_decode_tokens")
BLOCKS = "hash_ids"
BLOCK_TOKENS = 512  # of Mooncake's hashes (FAST25-release/traces of the Mooncake repository)
MOST_LINE = 1_000_000  # characters
MOST_ROWS = 10_000_000
MOST_BLOCKS = 20_000_000  # hashes that are kept, some 40 bytes each
MOST_HASH = 1 << 62
EARLIER_S = 1e-6  # clocks of one log differ by as much


def read_trace(path: Path, most: int) -> Requests:
    """The first ``most`` requests of a trace, the first at 0 seconds; ``InputError`` names the line that is wrong."""
    times, prompts, answers = array("d"), array("q"), array("q")  # 24 bytes a request
    blocks: list[tuple[int, ...]] = []
    held = 0
    try:
        for number, row in _rows(path):
            if number > most:
                break
            where = f"{path}: request {number}"
            time, prompt, answer = _time(where, row), _tokens(where, row, PROMPTS), _tokens(where, row, ANSWERS)
            if times and time < times[-1] - EARLIER_S:
                raise InputError(f"{where}: comes before the one above it; a trace is in the order of arrival")
            times.append(max(time, times[-1]) if times else time)
            prompts.append(prompt)
            answers.append(answer)
            if BLOCKS in row:
                blocks.append(_blocks(where, row[BLOCKS], prompt))
                held += len(blocks[-1])
                if held > MOST_BLOCKS:
                    raise InputError(f"{where}: more than {MOST_BLOCKS} {BLOCKS} in all; give fewer --requests")
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {' '.join(str(reason).split())}") from error
    if not times:
        raise InputError(f"{path}: holds no request")
    if blocks and len(blocks) != len(times):
        raise InputError(f"{path}: {BLOCKS} stands in {len(blocks)} of {len(times)} requests; give it in all or none")
    since = np.array(times) - times[0]
    lengths = np.array(prompts, dtype=np.int64), np.array(answers, dtype=np.int64)
    return Requests(since, *lengths, None, blocks or None, BLOCK_TOKENS)


def read_records(path: Path, most: int, names: tuple[str, ...]) -> list[dict[str, float]]:
    """The numbers under ``names`` of each of the first ``most`` rows, finite and not negative."""
    found: list[dict[str, float]] = []
    try:
        for number, row in islice(_rows(path), most):
            found.append({name: _finite(f"{path}: request {number}", name, row.get(name)) for name in names})
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {' '.join(str(reason).split())}") from error
    return found


def _finite(where: str, name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(f"{where}: {name} {str(value)[:40]!r} is not allowed; give a number from 0 on")
    return number


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no file; give a trace")
    opened: Any = gzip.open if path.suffix == ".gz" else open
    name = path.name.removesuffix(".gz")
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        if name.endswith(".csv"):
            yield from enumerate(csv.DictReader(_lines(path, file)), 1)
        elif name.endswith(".jsonl"):
            for number, line in enumerate(_lines(path, file), 1):
                yield number, _object(f"{path}: request {number}", line)
        else:
            raise InputError(f"{path}: is neither .csv nor .jsonl (nor one of them with .gz)")


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    """Lines of bounded length, and of a bounded number."""
    for number in range(1, MOST_ROWS + 2):
        line = file.readline(MOST_LINE)
        if not line:
            return
        if len(line) == MOST_LINE:
            raise InputError(f"{path}: line {number} is longer than {MOST_LINE} characters")
        if line.strip():
            yield line


def _object(where: str, line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(f"{where}: is no JSON object of one line") from None
    if not isinstance(found, dict):
        raise InputError(f"{where}: is no JSON object of one line")
    inner = found.get("data")  # ServeGen's requests: construct.Request
    return inner | found if isinstance(inner, dict) else found


def _value(where: str, row: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, Any]:
    for name in names:
        if row.get(name) not in (None, ""):
            return name, row[name]
    raise InputError(f"{where}: lacks a column; give one of {', '.join(names)}")


def _time(where: str, row: Mapping[str, Any]) -> float:
    """Seconds. A number is seconds, but Mooncake's are milliseconds; anything else is a date."""
    name, value = _value(where, row, TIMES)
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        try:
            seconds = datetime.fromisoformat(str(value)[:26].strip()).timestamp()
        except ValueError:
            raise InputError(f"{where}: {name} {str(value)[:40]!r} is neither seconds nor a date") from None
    if isinstance(value, bool) or not math.isfinite(seconds) or seconds < 0:
        raise InputError(f"{where}: {name} {str(value)[:40]!r} is not allowed; give seconds from 0 on or a date")
    return seconds / 1e3 if name == "timestamp" and "input_length" in row else seconds


def _tokens(where: str, row: Mapping[str, Any], names: tuple[str, ...]) -> int:
    name, value = _value(where, row, names)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not (number.is_integer() and 0 <= number <= MOST_TOKENS):
        raise InputError(f"{where}: {name} {str(value)[:40]!r} is not allowed; give a whole number up to {MOST_TOKENS}")
    return max(int(number), 1)  # an empty prompt still has a first token; so has an answer that was cut off at once


def _blocks(where: str, value: Any, prompt: int) -> tuple[int, ...]:
    """The whole ones: a block that the prompt does not fill is never found again."""
    if not isinstance(value, list) or not all(isinstance(block, int) for block in value):
        raise InputError(f"{where}: {BLOCKS} is no list of whole numbers")
    # A hash of more than 64 bits is known by Python's own of it, which is the same everywhere.
    return tuple(block if abs(block) < MOST_HASH else hash(block) for block in islice(value, prompt // BLOCK_TOKENS))
