"""The shape of a model: its numbers of parameters from its config.json alone, without weights, network or torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class UnknownShape(ValueError):
    """The parameters of this config can't be counted here."""


# Which linear modules have a bias in transformers' code: always, or where the config has this key set.
_QKV = ("q_proj", "k_proj", "v_proj")
_ATTENTION = (*_QKV, "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")
_BIASES: dict[str, dict[str | None, tuple[str, ...]]] = {
    "qwen2": {None: _QKV},
    "qwen3": {"attention_bias": _ATTENTION},
    "llama": {"attention_bias": _ATTENTION, "mlp_bias": _MLP},
    "mistral": {},
    "phi3": {},
}


@dataclass(frozen=True)
class Shape:
    """A decoder of layers that are all alike: attention, a gated MLP and two norms each."""

    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool  # the head's weight is the embedding's
    biased: tuple[str, ...] = ()
    fused: bool = False  # q, k and v are one module, gate and up another
    qk_norm: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape":
        """The shape that a config.json tells. Raises :class:`UnknownShape`: another architecture, or a missing key."""
        family = config.get("model_type")
        if family not in _BIASES:
            known = ", ".join(sorted(_BIASES))
            raise UnknownShape(f"model_type is {family!r}; memory can be estimated for {known}")
        try:
            hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
            return cls(
                hidden=hidden,
                layers=int(config["num_hidden_layers"]),
                intermediate=int(config["intermediate_size"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                vocabulary=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", False)),
                biased=tuple(
                    name for key, names in _BIASES[family].items() if key is None or config.get(key) for name in names
                ),
                fused=family == "phi3",
                qk_norm=family == "qwen3",
            )
        except KeyError as error:
            raise UnknownShape(f"the config of this {family} model has no {error.args[0]}") from error

    @property
    def queries(self) -> int:
        """Width of a layer's queries, and of what its attention gives."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of a layer's keys, and of its values."""
        return self.kv_heads * self.head_dim

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of a layer's linear modules, by their names in transformers (the targets of LoRA)."""
        hidden, wide = self.hidden, self.intermediate
        last = {"o_proj": (self.queries, hidden), "down_proj": (wide, hidden)}
        if self.fused:
            return {"qkv_proj": (hidden, self.queries + 2 * self.keys), "gate_up_proj": (hidden, 2 * wide), **last}
        attention = {"q_proj": (hidden, self.queries), "k_proj": (hidden, self.keys), "v_proj": (hidden, self.keys)}
        return {**attention, "gate_proj": (hidden, wide), "up_proj": (hidden, wide), **last}

    @property
    def layer(self) -> int:
        """Parameters of a layer."""
        weights = sum(inputs * outputs for inputs, outputs in self.linears.values())
        biases = sum(self.linears[name][1] for name in self.biased)
        return weights + biases + 2 * self.hidden + (2 * self.head_dim if self.qk_norm else 0)

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, and of the head: the largest tensors of the model."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, tied ones once."""
        return self.layers * self.layer + self.embedding * (1 if self.tied else 2) + self.hidden

    def adapters(self, rank: int, targets: Iterable[str] | None = None) -> int:
        """Parameters of LoRA's adapters on the ``targets`` of every layer (None: all its linear modules)."""
        sizes = [sum(size) for name, size in self.linears.items() if targets is None or name in set(targets)]
        return self.layers * rank * sum(sizes)

    def activations(self, width: int, tokens: int) -> int:
        """Bytes that a layer keeps for its backward pass, for each token of sequences of ``tokens``.

        ``width`` is 4 for float32 and 2 for bfloat16 under autocast, where the norms and what passes by the layers are
        float32 all the same, and every linear module keeps a copy of its input. Measured on transformers 5.17 with its
        sdpa attention and a padding mask (which copies keys and values for each query head).
        """
        copies = len(self.linears) - 2
        norms = 24 * self.hidden if width == 4 else (16 + 2 * copies) * self.hidden
        attention = width * (4 * self.queries + tokens) + 4 * self.heads
        if self.fused:  # a view keeps all that qkv_proj gave
            attention += width * (self.queries + 2 * self.keys)
        if self.qk_norm:
            attention += (4 + width) * (self.queries + self.keys)
        return norms + attention + width * 4 * self.intermediate


def _config(
    model_type: str, hidden: int, layers: int, intermediate: int, heads: int, kv_heads: int, vocabulary: int, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": intermediate,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }


_QWEN_1_5B = _config("qwen2", 1536, 28, 8960, 12, 2, 151936, True)
_QWEN_3B = _config("qwen2", 2048, 36, 11008, 16, 2, 151936, True)
_QWEN_7B = _config("qwen2", 3584, 28, 18944, 28, 4, 152064, False)
_QWEN_72B = _config("qwen2", 8192, 80, 29568, 64, 8, 152064, False)
_LLAMA_3B = _config("llama", 3072, 28, 8192, 24, 8, 128256, True)
_LLAMA_8B = _config("llama", 4096, 32, 14336, 32, 8, 128256, False)
_LLAMA_70B = _config("llama", 8192, 80, 28672, 64, 8, 128256, False)
_SMOLLM2_135M = _config("llama", 576, 30, 1536, 9, 3, 49152, True)

# The paper's models and SmolLM2: what of each model's config.json (on the hub, 2025) tells its shape.
SHIPPED: dict[str, dict[str, Any]] = {
    "Qwen/Qwen2-1.5B-Instruct": _QWEN_1_5B,
    "Qwen/Qwen2-7B-Instruct": _QWEN_7B,
    "Qwen/Qwen2-72B-Instruct": _QWEN_72B,
    "Qwen/Qwen2.5-1.5B-Instruct": _QWEN_1_5B,
    "Qwen/Qwen2.5-3B-Instruct": _QWEN_3B,
    "Qwen/Qwen2.5-7B-Instruct": _QWEN_7B,
    "Qwen/Qwen2.5-72B-Instruct": _QWEN_72B,
    "meta-llama/Llama-3.1-8B": _LLAMA_8B,
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_8B,
    "meta-llama/Llama-3.1-70B": _LLAMA_70B,
    "meta-llama/Llama-3.1-70B-Instruct": _LLAMA_70B,
    "meta-llama/Llama-3.2-3B": _LLAMA_3B,
    "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_3B,
    "microsoft/Phi-3.5-mini-instruct": _config("phi3", 3072, 32, 8192, 32, 32, 32064, False),
    "HuggingFaceTB/SmolLM2-135M": _SMOLLM2_135M,
    "HuggingFaceTB/SmolLM2-135M-Instruct": _SMOLLM2_135M,
}
