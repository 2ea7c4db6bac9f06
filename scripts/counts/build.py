"""What transformers builds, in numbers: every causal and image-text class of the installed release with its default
config, and every config.json of the folders named, on the meta device (no weights, no accelerator).

    python scripts/counts/build.py OUT.jsonl [FOLDER ...] [--only WORD] [--vary]

Needs transformers and torch (CPU), and nothing of ours. One line a model: its config in two forms, ``published`` (the
file, or the class's whole default config) and ``saved`` (as this transformers writes it again), and the parameters of
the language model and of all the rest, or the error that building it raised. ``--vary`` builds each class again with
the keys of ``VARIED`` changed, a group at a time: a default config hides what its sizes have in common.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import initialization
from transformers.models.auto import configuration_auto, modeling_auto

# A wrapper's type also stands among the causal ones, for its language model alone: the whole model comes first.
MAPPINGS = {
    "image-text": modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    "multimodal": modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    "causal": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
}
# Keys that decide counts, and how each is changed, some together; a class that refuses a change is passed over.
VARIED: dict[str, dict[str, Callable[[Any], Any]]] = {
    "widths": {
        "vocab_size": lambda v: v + 13,
        "intermediate_size": lambda v: v + 64,
        "moe_intermediate_size": lambda v: v + 32,
        "num_hidden_layers": lambda v: 6,
    },
    "heads": {
        "num_hidden_layers": lambda v: 4,
        "num_attention_heads": lambda v: v * 2,
        "head_dim": lambda v: v + 16,
        "n_shared_experts": lambda v: v + 1,
    },
    "flags": {
        "num_hidden_layers": lambda v: 4,
        "tie_word_embeddings": lambda v: not v,
        "attention_bias": lambda v: not v,
        "mlp_bias": lambda v: not v,
        "use_qk_norm": lambda v: not v,
    },
}
MOST_SECONDS = 120
# Names below which the language model of a wrapper stands; everything else is a tower or a projector.
BESIDE = ("embed_tokens_extend",)  # and the towers of a model without wrapper (Phi-4-multimodal)
LANGUAGE = ("language_model", "text_model", "lm_head", "thinker.model", "thinker.lm_head", "model.decoder")


def subjects(folders: list[Path]) -> Iterator[dict[str, Any]]:
    """What is to be built: each class once, by the first mapping that has it, then each file."""
    seen = set()
    for group, names in MAPPINGS.items():
        for kind, classes in names.items():
            for name in (classes,) if isinstance(classes, str) else classes[:1]:
                if kind not in seen:
                    seen.add(kind)
                    yield {"group": group, "subject": name, "model_type": kind}
    for folder in folders:
        for path in sorted({*folder.glob("*.json"), *folder.glob("*/config.json")}):
            subject = path.stem if path.parent == folder else path.parent.name
            yield {"group": f"files {folder.name}", "subject": subject, "path": str(path)}


def variations(subject: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same class once for each group of keys, changed in its language model where that is nested."""
    config = configuration_auto.CONFIG_MAPPING[subject["model_type"]]()
    text = config.get_text_config(decoder=True)
    for name, changes in VARIED.items():
        values = {key: getattr(text, key, None) for key in changes}
        new = {key: changes[key](v) for key, v in values.items() if isinstance(v, int)}
        if new:
            change = {"change": new, "nested": text is not config}
            yield {**subject, "group": f"varied {name}", "subject": f"{subject['subject']} {name}", **change}


def changed(subject: dict[str, Any]) -> Any:
    """The class's config with the changes of a variation."""
    kind = configuration_auto.CONFIG_MAPPING[subject["model_type"]]
    if "change" not in subject:
        return kind()
    if not subject["nested"]:
        return kind(**subject["change"])
    outer = {key: value for key, value in subject["change"].items() if key == "tie_word_embeddings"}
    # Lists and widths that follow from the changed keys are left for the class to make again.
    kept = {k: v for k, v in kind().text_config.to_dict().items() if not isinstance(v, list)}
    return kind(text_config={**kept, **subject["change"]}, **outer)


def config_of(subject: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """transformers' config and the published form. The quantisation of a checkpoint is left out of what is built."""
    if "path" not in subject:
        config = changed(subject)
        return config, config.to_dict()
    published = json.loads(Path(subject["path"]).read_text(encoding="utf-8"))
    subject["model_type"] = str(published.get("model_type"))
    if subject["model_type"] not in configuration_auto.CONFIG_MAPPING:
        raise LookupError(f"transformers does not know model_type {subject['model_type']}")
    bare = {key: value for key, value in published.items() if key not in ("quantization_config", "auto_map")}
    return configuration_auto.CONFIG_MAPPING[subject["model_type"]].from_dict(bare), published


def model_class(subject: dict[str, Any], config: Any) -> Any:
    """The class that the config names, else the first mapping's."""
    if "path" not in subject:
        return getattr(transformers, subject["subject"].split()[0])
    for name in config.architectures or []:
        if hasattr(transformers, name):
            return getattr(transformers, name)
    for names in MAPPINGS.values():
        if config.model_type in names:
            name = names[config.model_type]
            return getattr(transformers, name if isinstance(name, str) else name[0])
    raise LookupError(f"no causal or image-text class for model_type {config.model_type}")


def split(model: torch.nn.Module, config: Any) -> tuple[int, int]:
    """Parameters of the language model with its head, and of the rest. Shared matrices count once."""
    names = list(model.named_parameters())
    total = sum(p.numel() for _, p in names)
    text = config.get_text_config(decoder=True)
    if text is config:
        beside = sum(p.numel() for name, p in names if any(word in name for word in BESIDE))
        return total - beside, beside
    mine: dict[int, int] = {}
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    if decoder is not None and decoder is not model and decoder is not getattr(model, "model", None):
        mine |= {id(p): p.numel() for p in decoder.parameters()}
    if not mine:
        mine = {id(p): p.numel() for n, p in names if any(w in n for w in LANGUAGE)}
    for part in (model.get_input_embeddings(), model.get_output_embeddings()):
        mine |= {id(p): p.numel() for p in part.parameters()} if part is not None else {}
    language = sum(mine.values())
    return language, total - language


def built(subject: dict[str, Any]) -> dict[str, Any]:
    """``subject`` with the two forms, the counts, and the modules' names as far as they tell the parts apart."""
    config, published = config_of(subject)
    forms = {"published": published, "saved": json.loads(config.to_json_string(use_diff=True))}
    if "quantization_config" in published:
        forms["saved"]["quantization_config"] = published["quantization_config"]
    record = {**subject, "forms": forms}
    kind = model_class(subject, config)
    with torch.device("meta"), initialization.meta_device_safe_creation_ops():
        model = kind(config)
    model.tie_weights()
    language, vision = split(model, config)
    return {**record, "class": kind.__name__, "language": language, "vision": vision}


def attempt(subject: dict[str, Any]) -> dict[str, Any]:
    """``built``, or the error in one line. A class that takes too long is given up."""
    signal.alarm(MOST_SECONDS)
    try:
        return built(subject)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())[:200]
        return {**subject, "error": f"{type(error).__name__}: {words} ({Path(last.filename).name}:{last.lineno})"}
    finally:
        signal.alarm(0)


def attempt_variations(subject: dict[str, Any]) -> list[dict[str, Any]]:
    """A class's variations, none where it has no default config."""
    try:
        return list(variations(subject))
    except Exception:
        return []


def _too_long(*_: Any) -> None:
    raise TimeoutError(f"more than {MOST_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--only", default="", help="only subjects whose name or type has this word")
    parser.add_argument("--vary", action="store_true", help="classes with keys changed, in their place")
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, _too_long)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    wanted = [s for s in subjects(options.folders) if options.only.lower() in json.dumps(s).lower()]
    if options.vary:
        wanted = [v for s in wanted if "path" not in s for v in attempt_variations(s)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}) + "\n")
        for n, subject in enumerate(wanted, 1):
            file.write(json.dumps(attempt(subject), default=str) + "\n")
            if sys.stderr.isatty() or n % 50 == 0:
                print(f"{n} of {len(wanted)} built", file=sys.stderr)


if __name__ == "__main__":
    main()
