"""Names and patterns of a quantiser's lists, matched against the modules of a layer.

Three kinds, as engines and quantisers take them: a name (of the module, of a module that holds it, or a run of whole
components of it: ``self_attn``, ``mlp.gate``); a glob (``model.layers.*.mlp*``: fnmatch over the module or one that
holds it, as ModelOpt writes and vLLM reads them); a regular expression (``re:``, or GPTQ's ``dynamic``), which must
match the module's own name from its start. The name of the stack before ``layers.`` differs between a checkpoint and
the engines that load it, so it is taken off; a vision tower's ``layers.`` are not the language model's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache

from costmodel.formats import WeightFormat
from search.inputs.models.fields import ConfigError, shown

MAX_RULES = 200_000  # three matrices of 384 experts in 60 layers are 69,120 names
MAX_TESTS = 1000
MAX_LOCAL = 20_000
MAX_LENGTH = 300
MAX_EXPERTS_TRIED = 64

_STACK = r"(?:(?:model|language_model|text_model|backbone|transformer|decoder|module|llm|thinker|gpt_neox)\.)*"
_LAYERS = re.compile(rf"^{_STACK}(?:layers|h|blocks)\.")
_STEM = re.compile(rf"^{_STACK}")
_ALL = ("", "model", "language_model", "text_model", "backbone", "transformer", "layers", "decoder")
_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "backbone.", "")
_EXPERT = re.compile(r"(?<=experts\.)\d+(?=\.|$)")
_EXPERT_IN_PATTERN = re.compile(r"experts\\?\.(\d+)")
_ONE_LAYER = re.compile(r"^layers\.(\d+)\.")


@dataclass(frozen=True)
class Rule:
    """Modules that ``text`` names are stored in ``format``. ``regex``: a regular expression without ``re:``."""

    text: str
    format: WeightFormat
    regex: bool = False


Hit = tuple[int, WeightFormat]  # place in the list, and the format: the first that matches decides


@dataclass
class Rules:
    """A compiled list. ``key`` names it in complaints."""

    key: str
    names: dict[str, Hit] = field(default_factory=dict)
    counted: dict[str, dict[WeightFormat, int]] = field(default_factory=dict)  # names of numbered experts
    runs: dict[str, Hit] = field(default_factory=dict)
    tests: list[tuple[Callable[[str], object], bool, Hit]] = field(default_factory=list)
    of_layer: dict[int, list[tuple[Callable[[str], object], bool, Hit]]] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, key: str, rules: Sequence[Rule]) -> Rules:
        compiled = cls(key)
        if len(rules) > MAX_RULES:
            raise ConfigError(f"{key} has {len(rules)} entries; at most {MAX_RULES} are read")
        for order, rule in enumerate(dict.fromkeys(rules)):
            compiled._add(rule, (order, rule.format))
        tests, local = len(compiled.tests), sum(len(tests) for tests in compiled.of_layer.values())
        if tests > MAX_TESTS or local > MAX_LOCAL:
            raise ConfigError(
                f"{key} has {tests + local} patterns; at most {MAX_TESTS}, and {MAX_LOCAL} of one layer each, are read"
            )
        return compiled

    def _add(self, rule: Rule, hit: Hit) -> None:
        text = rule.text
        if len(text) > MAX_LENGTH:
            raise ConfigError(f"{self.key}: a pattern of {len(text)} characters; at most {MAX_LENGTH} are read")
        if rule.regex or text.startswith("re:"):
            pattern = text.removeprefix("re:")
            self._numbers(pattern)
            self.tests.append((_regex(self.key, pattern), True, hit))
        elif any(c in text for c in "*?["):
            self._glob(text, hit)
        else:
            self._name(text.rstrip("."), hit)

    def _glob(self, text: str, hit: Hit) -> None:
        self._numbers(text)
        known = _STEM.match(text)
        name = _LAYERS.sub("layers.", text) if _LAYERS.match(text) else text[known.end() if known else 0 :]
        test = re.compile(translate(name)).match
        one = _ONE_LAYER.match(name)
        if one:
            self.of_layer.setdefault(int(one.group(1)), []).append((test, False, hit))
        elif name.startswith(("layers", "*", "?", "[")):
            self.tests.append((test, False, hit))
        else:
            self._head(name, hit, test)

    def _head(self, name: str, hit: Hit, test: Callable[[str], object]) -> None:
        """A glob for a module outside of the layers: kept for those alone."""
        self.of_layer.setdefault(-1, []).append((test, False, hit))

    def _name(self, text: str, hit: Hit) -> None:
        if text in _ALL:
            self.tests.append((lambda name: True, False, hit))
        elif _LAYERS.match(text):
            name, experts = _EXPERT.subn("#", _LAYERS.sub("layers.", text))
            if experts:
                formats = self.counted.setdefault(name, {})
                formats[hit[1]] = formats.get(hit[1], 0) + 1
            self.names.setdefault(name, hit)
        else:
            known = _STEM.match(text)
            name = text[known.end() if known else 0 :]
            self.runs.setdefault(name, hit)

    def _numbers(self, pattern: str) -> None:
        self.numbers |= {int(n) for n in _EXPERT_IN_PATTERN.findall(pattern)[:8] if len(n) < 6}
        if len(self.numbers) > MAX_EXPERTS_TRIED:
            raise ConfigError(f"{self.key}: patterns name more than {MAX_EXPERTS_TRIED} experts by number")

    def find(self, name: str, layer: int | None, experts: int, rest: WeightFormat) -> WeightFormat | None:
        """The format of the module ``layers.<layer>.<...>`` (or of one outside of the layers), ``None`` where no rule
        names it. ``#`` in the name stands for each of ``experts``; those that no rule names are in ``rest``."""
        if "#" not in name:
            found = self._first(name, layer)
            return found[1] if found else None
        tried = {0, experts - 1} | {n for n in self.numbers if n < experts}
        found_all = [self._first(name, layer, str(n)) for n in sorted(tried)]
        formats = {rest if found is None else found[1] for found in found_all}
        found = found_all[0]
        partly = self._partly(name, experts)
        if partly is not None and (found is None or partly[0] <= found[0]):
            formats |= {rest}
        if len(formats) > 1:
            raise ConfigError(
                f"{self.key}: experts of {shown(name)[1:-1]} differ ({_listed(formats)}), which engines do not load"
            )
        return None if found is None else found[1]

    def _partly(self, name: str, experts: int) -> Hit | None:
        """The rule that names some of the experts one by one, and not all."""
        for stem in _stems(name):
            formats = self.counted.get(stem)
            if formats and sum(formats.values()) < experts:
                return self.names[stem]
            if formats and len(formats) > 1:
                raise ConfigError(
                    f"{self.key}: experts of {shown(stem)[1:-1]} differ ({_listed(set(formats))}), "
                    "which engines do not load"
                )
        return None

    def _first(self, name: str, layer: int | None, expert: str = "#") -> Hit | None:
        """The earliest rule that names the module, ``#`` being the expert of that number."""
        hits: list[Hit] = []
        stems = _stems(name)
        hits += [self.names[stem] for stem in stems if stem in self.names]
        if self.runs:
            hits += [self.runs[run] for run in _runs(name, layer is not None) if run in self.runs]
        local = self.of_layer.get(-1 if layer is None else layer, ())
        if self.tests or local:
            full = name.replace("#", expert)
            held = [stem.replace("#", expert) for stem in stems]
            for test, regex, hit in (*local, *self.tests):
                if hits and min(h[0] for h in hits) < hit[0]:
                    continue
                spelled = [p + full for p in _PREFIXES] if regex else [*held, *("model." + stem for stem in held)]
                if any(test(text) for text in spelled):
                    hits.append(hit)
        return min(hits, key=lambda hit: hit[0]) if hits else None


def _listed(formats: set[WeightFormat]) -> str:
    return ", ".join(sorted(f.name for f in formats))


@lru_cache(maxsize=100_000)
def _stems(name: str) -> tuple[str, ...]:
    """The module and those that hold it: ``layers.3.mlp.up_proj``, ``layers.3.mlp``, ``layers.3``."""
    parts = name.split(".")
    first = 2 if parts[0] == "layers" else 1
    return tuple(".".join(parts[:n]) for n in range(len(parts), first - 1, -1))


@lru_cache(maxsize=100_000)
def _runs(name: str, in_layer: bool) -> tuple[str, ...]:
    """Whole components in a row, without the layer's number."""
    parts = name.split(".")[2 if in_layer else 0 :]
    return tuple(_sliced(parts))


def _sliced(parts: list[str]) -> Iterator[str]:
    for i in range(len(parts)):
        for j in range(i + 1, len(parts) + 1):
            yield ".".join(parts[i:j])


# What may take long: a repeated group, and wildcards in a row of more than a few.
_GROUP = re.compile(r"\)[*+{]")
_WILD = re.compile(r"(?:\.|\]|\\[wWsSD])[*+{]")


def _regex(key: str, pattern: str) -> Callable[[str], object]:
    """A regular expression, refused where matching it could take for ever."""
    if _GROUP.search(pattern) or len(_WILD.findall(pattern)) > 4 or len(re.findall(r"[*+{]", pattern)) > 12:
        raise ConfigError(f"{key} = {shown(pattern)}: too many repetitions in a pattern")
    try:
        return re.compile(pattern).match
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"{key} = {shown(pattern)} is not a pattern: {error}") from None
