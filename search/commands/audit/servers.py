"""Which servers a text starts: shell lines, scripts in quotes, ``docker run``, Kubernetes and compose files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from search.base.errors import InputError
from search.commands.audit.manifest import Container, config_files, containers
from search.commands.audit.shell import simple_commands

# How each server is started: words in a row that its flags follow.
STARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "vllm": (
        ("vllm", "serve"),
        ("-m", "vllm.entrypoints.openai.api_server"),
        ("-m", "vllm.entrypoints.api_server"),
        ("-m", "vllm.entrypoints.cli.main", "serve"),
        ("-m", "vllm", "serve"),
    ),
    "sglang": (("-m", "sglang.launch_server"), ("sglang", "serve"), ("-m", "sglang", "serve")),
    "trtllm": (("trtllm-serve", "serve"), ("trtllm-serve",), ("-m", "tensorrt_llm.commands.serve")),
}
_OTHER = {"trtllm": ("disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve", "embedding_serve")}
# Images whose own command is the server: their arguments are its flags.
_IMAGES = {"vllm": re.compile(r"(^|/)vllm-openai[\w.-]*(:|@|$)")}
_RUNS = ("run", "create")
_READERS = ("bash", "sh", "ssh", "sbatch")  # of a shell's text on standard input
_QUOTED = re.compile(r"^-\w*c$")
_SHOWN = ("echo", "printf", "cat", "#")
_ASSIGNS = re.compile(r"^[A-Za-z_]\w*=")
MOST_NESTED = 3


@dataclass(frozen=True)
class Server:
    """``words`` after the server's name, variables filled in; ``variables`` that the text gives before it; ``unused``
    those of them that no word takes; ``rest`` what ends it, where something follows; ``files`` that the text writes, by
    name."""

    engine: str
    words: tuple[str, ...]
    variables: Mapping[str, str]
    unused: tuple[str, ...]
    rest: str
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The model's word and the flags' names: values of other flags may be secret."""
        first = next((w for w in self.words if not w.startswith("-")), "")
        flags = [w.partition("=")[0] for w in self.words if w.startswith("-")]
        return f"{self.engine} {first[:80]} ({len(flags)} flags)"


def servers(engine: str, text: str) -> list[Server]:
    """Those of ``engine`` in ``text``, in order; ``InputError`` where there is none."""
    boxes = containers(text)
    found = list(_of_shell(engine, text, {}, 0)) if boxes is None else list(_of_containers(engine, boxes))
    files = {} if boxes is None else config_files(text)
    found = [replace(server, files={**files, **server.files}) for server in found]
    if not found:
        starts = " or ".join(repr(" ".join(names)) for names in STARTS[engine])
        raise InputError(f"command: starts no {engine} server that is known; give one with {starts}")
    return found


def written(text: str) -> dict[str, str]:
    """Files whose content stands in a shell's text, by name as it is written."""
    commands = [command.written for command in simple_commands(text)]
    variables = dict(w.split("=", 1) for c in simple_commands(text) for w in c.words if _ASSIGNS.match(w))
    return {_filled_in(name, variables): content for name, content in filter(None, commands)}


def _of_containers(engine: str, boxes: Sequence[Container]) -> Iterator[Server]:
    for box in boxes:
        inner = list(_of_words(engine, box.words, dict(box.variables), 0, image_runs=True))
        if not inner and box.bare and any(w.startswith("-") for w in box.words):
            inner = [_server(engine, box.words, dict(box.variables), "")]
        yield from inner


def _of_shell(engine: str, text: str, given: Mapping[str, str], depth: int) -> Iterator[Server]:
    variables, files = dict(given), written(text)
    commands = simple_commands(text)
    for i, command in enumerate(commands):
        rest = command.end if i + 1 < len(commands) or command.end not in ("", "\n", ";") else ""
        for server in _of_words(engine, command.words, variables, depth, rest=rest):
            yield replace(server, files={**files, **server.files})
        if command.document and depth < MOST_NESTED:
            yield from _of_document(engine, command.words, command.document, variables, depth + 1)


def _of_document(
    engine: str, words: Sequence[str], text: str, variables: dict[str, str], depth: int
) -> Iterator[Server]:
    """A here-document: a manifest, whoever reads it, or a shell's text where a shell does."""
    boxes = containers(text)
    if boxes is not None:
        files = config_files(text)
        found = [replace(box, variables={**variables, **box.variables}) for box in boxes]
        yield from (replace(s, files={**files, **s.files}) for s in _of_containers(engine, found))
    elif any(word.rsplit("/", 1)[-1] in _READERS for word in words):
        yield from _of_shell(engine, text, variables, depth)


def _of_words(
    engine: str,
    words: Sequence[str],
    variables: dict[str, str],
    depth: int,
    *,
    rest: str = "",
    image_runs: bool = False,
) -> Iterator[Server]:
    """Servers that one command starts; assignments in front of it are added to ``variables``."""
    start = _start(engine, words, image_runs)
    variables |= dict(w.split("=", 1) for w in words[: len(words) if start is None else start[0]] if _ASSIGNS.match(w))
    if start is not None:
        yield _server(engine, words[start[1] :], variables, rest)
        return
    if depth >= MOST_NESTED or words[0].rsplit("/", 1)[-1] in _SHOWN:
        return
    runs = any(_QUOTED.match(w) for w in words) or words[0] in ("eval", "ssh", "srun", "tmux", "screen", "docker")
    for word in words if runs else ():
        if any(c.isspace() for c in word) and any(names[-1] in word for names in STARTS[engine]):
            yield from _of_shell(engine, word, variables, depth + 1)


def _start(engine: str, words: Sequence[str], image_runs: bool) -> tuple[int, int] | None:
    """Where the server's name begins and where its arguments do."""
    for i, word in enumerate(words):
        for names in STARTS[engine]:
            found = [word.rsplit("/", 1)[-1] if names[0] != "-m" else word, *words[i + 1 : i + len(names)]]
            if tuple(found) == names and words[i + 1 : i + 2] not in [[o] for o in _OTHER.get(engine, ())]:
                return i, i + len(names)
    image = _IMAGES.get(engine)
    if image is None:
        return None
    at = next((i for i, w in enumerate(words) if image.search(w) and not w.startswith("-")), None)
    if at is None or not (image_runs or any(w in _RUNS for w in words[:at])):
        return None
    shell = any(_QUOTED.match(w) for w in words)  # another entry point
    named = list(words[at + 1 : at + 2]) == ["serve"]  # with --entrypoint vllm
    return None if shell else (at, at + 1 + named)


def _server(engine: str, words: Sequence[str], variables: Mapping[str, str], rest: str) -> Server:
    filled = tuple(_filled_in(w, variables) for w in words)
    used = {name for name in variables if any(re.search(rf"\$[{{(]?{re.escape(name)}\b", w) for w in words)}
    return Server(engine, filled, dict(variables), tuple(n for n in variables if n not in used), rest)


def _filled_in(token: str, assigned: Mapping[str, str]) -> str:
    """A word with the variables that the same text assigns, ``X=${X:-default}`` and ``${X:-default}`` as their default,
    ``$(X)`` as Kubernetes writes it. The environment of whoever runs the audit is not looked at."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2] or found[4]
        text = assigned.get(name, found[0] if found[3] is None else found[3])
        default = re.fullmatch(rf"\$\{{{name}:?-(.*)\}}", text)
        return default[1] if default else text

    return re.sub(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^{}]*))?\}|\(([A-Za-z_]\w*)\))", value, token)
