"""Number formats of weights and cache, from ``quantization_config``: module by module and layer by layer.

What a quantiser's config says is read in ``modelopt``, ``compressed``, ``quark`` and ``weight_only``; here it is laid
over the layers. Routers, norms and convolutions stay in bf16, embeddings and head unless they are said to be quantised
(only linear layers and experts are converted in vllm/model_executor/layers/quantization, 0.33; every MoE model file
builds its gate without a quantisation). Layers that differ are kept apart, never averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from costmodel.architecture import UNQUANTISED, Layer, Quantization
from costmodel.formats import BF16, WeightFormat
from search.inputs.models.fields import ConfigError, Fields, shown
from search.inputs.models.quantizers.compressed import compressed
from search.inputs.models.quantizers.modelopt import modelopt
from search.inputs.models.quantizers.module_names import EMBEDDING, HEAD, Tree, spellings, tree_of, weights_by_operation
from search.inputs.models.quantizers.patterns import Rules
from search.inputs.models.quantizers.quark import quark
from search.inputs.models.quantizers.schemes import Scheme
from search.inputs.models.quantizers.weight_only import READERS, REFUSED

METHODS: Mapping[str, Callable[[Fields], Scheme]] = {
    **READERS,
    "modelopt": modelopt,
    "modelopt_fp4": modelopt,
    "modelopt_fp8": modelopt,
    "modelopt_mixed": modelopt,
    "modelopt_mxfp8": modelopt,
    "compressed-tensors": compressed,
    "compressed_tensors": compressed,
    "quark": quark,
}


@dataclass(frozen=True)
class Formats:
    """``quantization`` of most layers; ``layers`` with what differs in each; ``cache``."""

    quantization: Quantization
    cache: WeightFormat
    layers: list[Layer]


def read_quantization(
    model_type: str,
    outer: Fields,
    text: Fields,
    layers: list[Layer],
    hidden: int,
    cast: WeightFormat | None,
    assumptions: list[str],
) -> Formats:
    """The formats of the model's modules and of its cache. ``cast`` overrides the former."""
    fields = _config(outer, text)
    scheme = None if fields is None else _scheme(fields)
    cache = BF16 if scheme is None else scheme.cache
    if cast is not None:
        if cast is BF16:
            return Formats(Quantization(), cache, layers)
        assumptions.append(
            f"weights are cast to {cast.name}: linear layers and experts; embeddings, head, norms and routers stay bf16"
        )
        return Formats(Quantization.linear_layers(cast), cache, layers)
    if scheme is None:
        return Formats(Quantization(), cache, layers)
    assumptions += scheme.notes
    return _Laid(scheme, tree_of(model_type), hidden, assumptions).over(layers)


def _config(outer: Fields, text: Fields) -> Fields | None:
    """The first that is there, of the model or of its language part; MLX has a name of its own for it."""
    for place in (outer, text):
        for name in ("quantization_config", "compression_config", "quantization"):
            fields = place.object(name)
            if fields is not None:
                return fields
    return None


def _scheme(fields: Fields) -> Scheme:
    name = fields.text("quant_method", default=None)
    if name is None:
        if fields.has("quant_algo") or fields.has("quantization"):
            name = "modelopt"
        elif fields.has("bits") and fields.has("group_size"):
            name = "mlx"
    method = None if name is None else name.lower()
    if method in REFUSED:
        raise ConfigError(f"{fields.key('quant_method')} = {shown(name)} is known and refused: {REFUSED[method]}")
    if method not in METHODS:
        known = ", ".join(METHODS)
        raise ConfigError(f"{fields.key('quant_method')} = {shown(name)} is not understood; allowed: {known}")
    return METHODS[method](fields)


class _Laid:
    """A scheme laid over a model's layers."""

    def __init__(self, scheme: Scheme, tree: Tree, hidden: int, assumptions: list[str]) -> None:
        self.scheme = scheme
        self.tree = tree
        self.hidden = hidden
        self.assumptions = assumptions
        self.rules = Rules.of(scheme.key, scheme.rules)
        self.unnamed: set[str] = set()

    def over(self, layers: list[Layer]) -> Formats:
        """Formats by module; a module that differs between layers is in most of them (by weights) as the model says,
        and in the others as the layer says."""
        sizes = {layer: weights_by_operation(layer, self.hidden) for layer in dict.fromkeys(layers)}
        found = [
            {name: self._module(name, layer, i) for name in sizes[layer] if name not in UNQUANTISED}
            for i, layer in enumerate(layers)
        ]
        weights: dict[str, Counter[WeightFormat]] = {}
        total: Counter[WeightFormat] = Counter()
        for layer, formats in zip(layers, found, strict=True):
            for name, stored in formats.items():
                weights.setdefault(name, Counter())[stored] += max(1, round(sizes[layer][name]))
                total[stored] += max(1, round(sizes[layer][name]))
        most = {name: counted.most_common(1)[0][0] for name, counted in weights.items()}
        quantised = [stored for stored, _ in total.most_common() if stored is not BF16]
        ends = {
            "embedding": self._end(EMBEDDING, self.scheme.embedding),
            "head": BF16 if self.scheme.head is None else self._end(HEAD, self.scheme.head),
        }
        quantization = Quantization(
            quantised[0] if quantised else self.scheme.linear, dict.fromkeys(UNQUANTISED, BF16) | ends | most
        )
        self._report(weights)
        changed = [
            replace(layer, formats=tuple((n, f) for n, f in formats.items() if f != most[n]))
            for layer, formats in zip(layers, found, strict=True)
        ]
        return Formats(quantization, self.scheme.cache, changed)

    def _module(self, operation: str, layer: Layer, number: int) -> WeightFormat:
        """The format of one operation of one layer."""
        experts = operation in ("experts.up", "experts.down")
        rest = self.scheme.linear if self.scheme.experts is None or not experts else self.scheme.experts
        ways = spellings(self.tree, operation, layer)
        if not ways and self.scheme.rules:
            self.unnamed.add(operation)
        count = int(getattr(layer.ffn, "experts", 1))
        for way in ways:
            found = [self.rules.find(f"layers.{number}.{name}", number, count, rest) for name in way]
            if all(hit is None for hit in found):
                continue
            formats = dict.fromkeys(rest if hit is None else hit for hit in found)
            if len(formats) > 1:
                said = (f"{n.rsplit('.', 1)[-1]} {(hit or rest).name}" for n, hit in zip(way, found, strict=True))
                raise ConfigError(
                    f"{self.scheme.key}: layers.{number} has {', '.join(said)}; "
                    "engines multiply them as one matrix and refuse that"
                )
            return next(iter(formats))
        return rest

    def _end(self, names: tuple[str, ...], rest: WeightFormat) -> WeightFormat:
        """The format of the embedding or the head."""
        found = (self.rules.find(name, None, 1, rest) for name in names)
        named = next((hit for hit in found if hit is not None), None)
        if named is None and rest is not BF16 and rest == self.scheme.linear:
            self.assumptions.append(f"{names[0]} is not excluded and so taken as {rest.name}, like all linear layers")
        return rest if named is None else named

    def _report(self, weights: Mapping[str, Counter[WeightFormat]]) -> None:
        mixed = sorted(name for name, counted in weights.items() if len(counted) > 1)
        if mixed:
            self.assumptions.append(
                "layers differ in format and are kept apart: "
                + "; ".join(f"{name} {', '.join(f.name for f, _ in weights[name].most_common())}" for name in mixed[:8])
            )
        if self.unnamed:
            self.assumptions.append(
                "the checkpoint's names of these modules are not known, and no exclusion reaches them: "
                + ", ".join(sorted(self.unnamed))
            )
