"""Which servers a text starts: shell lines, scripts in quotes, ``docker run``, Kubernetes and compose files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from search.base.errors import InputError
from search.commands.audit.manifest import Container, config_files, containers
from search.commands.audit.shell import simple_commands
from search.commands.audit.variables import ASSIGNS, assigned, expanded, filled, taken

# How each server is started: words in a row that its flags follow.
STARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "vllm": (
        ("vllm", "serve"),
        ("-m", "vllm.entrypoints.openai.api_server"),
        ("-m", "vllm.entrypoints.api_server"),
        ("-m", "vllm.entrypoints.cli.main", "serve"),
        ("-m", "vllm", "serve"),
        ("-m", "dynamo.vllm"),
    ),
    "sglang": (("-m", "sglang.launch_server"), ("sglang", "serve"), ("-m", "sglang", "serve"), ("-m", "dynamo.sglang")),
    "trtllm": (
        ("trtllm-serve", "serve"),
        ("trtllm-serve",),
        ("-m", "tensorrt_llm.commands.serve"),
        ("-m", "dynamo.trtllm"),
    ),
}
_OTHER = {"trtllm": ("disaggregated", "disaggregated_mpi_worker", "mm_embedding_serve", "embedding_serve")}
# Images whose own command is the server: their arguments are its flags.
_IMAGES = {"vllm": re.compile(r"(^|/)vllm-openai[\w.-]*(:|@|$)")}
_RUNS = ("run", "create")
_READERS = ("bash", "sh", "ssh", "sbatch")  # of a shell's text on standard input
_QUOTED = re.compile(r"^-\w*c$")
_SHOWN = ("echo", "printf", "cat", "#")
_MOUNTS = re.compile(r"^(?:--volume=|-v=?)?(?P<from>[^:\s=]*/[^:\s=]*):(?P<to>/[^:\s]*)(?::[a-z,]+)?$", re.IGNORECASE)
MOST_NESTED = 3


@dataclass(frozen=True)
class Server:
    """``words`` after the server's name, variables filled in; ``variables`` that the text gives before it; ``unused``
    those of them that no word takes; ``rest`` what ends it, where something follows; ``files`` that the text writes, by
    name; ``mounts``: where folders of the container come from."""

    engine: str
    words: tuple[str, ...]
    variables: Mapping[str, str]
    unused: tuple[str, ...]
    rest: str
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: Mapping[str, str] = field(default_factory=dict, repr=False)

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
    """Files whose content stands in a shell's text, by name as it is written. What is appended comes after what was
    there."""
    values: dict[str, str] = {}
    files: dict[str, str] = {}
    for _, command in taken(simple_commands(text), values):
        assigned([w for w in command.words if ASSIGNS.match(w)], values)
        if command.written is not None:
            name, content = command.written
            name, content = filled(name, values), filled(content, values)
            files[name] = files.get(name, "") + content if command.appends else content
    return files


def _of_containers(engine: str, boxes: Sequence[Container]) -> Iterator[Server]:
    image = _IMAGES.get(engine)
    for box in boxes:
        inner = list(_of_words(engine, box.words, dict(box.variables), 0))
        flags = any(w.startswith("-") for w in box.words) and not any(_QUOTED.match(w) for w in box.words)
        own = box.bare if not box.image else image is not None and bool(image.search(box.image))
        if not inner and flags and own:
            words = box.words[1:] if box.words[0] == "serve" else box.words
            inner = [_server(engine, words, dict(box.variables), "")]
        yield from (replace(server, mounts={**mounts_of(box.volumes), **server.mounts}) for server in inner)


def mounts_of(words: Sequence[str]) -> dict[str, str]:
    """Folders of a container and where they come from, as ``-v`` of docker and ``volumes`` of compose say."""
    found = (_MOUNTS.match(word) for word in words)
    return {match["to"].rstrip("/"): match["from"] for match in found if match}


def _of_shell(engine: str, text: str, given: Mapping[str, str], depth: int) -> Iterator[Server]:
    variables, files = dict(given), written(text)
    commands = simple_commands(text)
    for i, command in taken(commands, variables):
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
    engine: str, given: Sequence[str], variables: dict[str, str], depth: int, *, rest: str = ""
) -> Iterator[Server]:
    """Servers that one command starts; assignments in front of it are added to ``variables``."""
    start = _start(engine, given)
    words: Sequence[str] = given
    if start is None and given and given[0].startswith("$"):  # a whole command in a variable
        words = expanded(given, variables)
        start = _start(engine, words)
    assigned([w for w in words[: len(words) if start is None else start[0]] if ASSIGNS.match(w)], variables)
    if start is not None:
        yield replace(_server(engine, words[start[1] :], variables, rest), mounts=mounts_of(words[: start[0]]))
        return
    if depth >= MOST_NESTED or not words or words[0].rsplit("/", 1)[-1] in _SHOWN:
        return
    runs = any(_QUOTED.match(w) for w in words) or words[0] in ("eval", "ssh", "srun", "tmux", "screen", "docker")
    for i, word in enumerate(words) if runs else ():
        if any(c.isspace() for c in word) and any(names[-1] in word for names in STARTS[engine]):
            # what follows a script are its name and its arguments, which it calls "$@"
            arguments = {"@": shlex.join(words[i + 2 :])} if words[i + 2 :] else {}
            yield from _of_shell(engine, word, variables | arguments, depth + 1)


def _start(engine: str, words: Sequence[str]) -> tuple[int, int] | None:
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
    if at is None or not any(w in _RUNS for w in words[:at]):
        return None
    shell = any(_QUOTED.match(w) for w in words)  # another entry point
    named = list(words[at + 1 : at + 2]) == ["serve"]  # with --entrypoint vllm
    return None if shell else (at, at + 1 + named)


def _server(engine: str, words: Sequence[str], variables: Mapping[str, str], rest: str) -> Server:
    words_ = tuple(expanded(words, variables))
    used = {name for name in variables if any(re.search(rf"\$[{{(]?{re.escape(name)}\b", w) for w in words)}
    unused = tuple(n for n in variables if n not in used and n != "@")
    return Server(engine, words_, dict(variables), unused, rest)
