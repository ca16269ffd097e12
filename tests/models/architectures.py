"""The architectures of the fixtures: transformers' own classes, two small layers, random weights."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import transformers
from transformers.pytorch_utils import Conv1D

LAYERS = 2
WIDTH = 32
VOCABULARY = 64
POSITIONS = 40
BATCH = 2
SEQUENCE = 17
PADDING = 5
IMAGE = 24
PATCH = 8

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Architecture:
    """How to build a model, what it eats, and which linear layer follows its attention."""

    build: Callable[[str], torch.nn.Module]  # takes the attention implementation: "sdpa" or "eager"
    inputs: Callable[[torch.Generator], Tensors]
    dynamic: dict[str, dict[int, str]]  # the symbolic dims of each input
    output: str
    projection: str  # module path suffix of the output projection
    heads: int
    kv_heads: int
    head_dim: int


def _normal(layer: torch.nn.Module) -> torch.nn.Module:
    torch.nn.init.normal_(layer.weight, std=0.2)
    torch.nn.init.zeros_(layer.bias)
    return layer


def _set_head_dim(attention: torch.nn.Module, sizes: dict[str, int]) -> None:
    """GPT-2 and BERT derive the head dim from the width, and a real head dim would make large files.
    Heads wider than width / heads leave the exported graph as it is, but for its sizes."""
    for name, size in sizes.items():
        if not hasattr(attention, name):
            raise AttributeError(f"{type(attention).__name__} has no {name}")
        setattr(attention, name, size)
    attention.scaling = 64**-0.5


def _llama(attention: str) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=POSITIONS,
        initializer_range=0.2, use_cache=False, attn_implementation=attention)
    return transformers.LlamaForCausalLM(config)


def _qwen2(attention: str) -> torch.nn.Module:
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=POSITIONS,
        initializer_range=0.2, use_cache=False, attn_implementation=attention)
    config.head_dim = 128
    return transformers.Qwen2ForCausalLM(config)


def _gpt2(attention: str) -> torch.nn.Module:
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=WIDTH, n_inner=48, n_layer=LAYERS, n_head=2,
        initializer_range=0.2, use_cache=False, attn_implementation=attention)
    model = transformers.GPT2LMHeadModel(config)
    for block in model.transformer.h:
        _set_head_dim(block.attn, {"head_dim": 64, "split_size": 128})
        block.attn.c_attn = _normal(Conv1D(3 * 128, WIDTH))
        block.attn.c_proj = _normal(Conv1D(WIDTH, 128))
    return model


def _bert(attention: str) -> torch.nn.Module:
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=2, max_position_embeddings=POSITIONS, initializer_range=0.2,
        attn_implementation=attention)
    model = transformers.BertModel(config, add_pooling_layer=False)
    for layer in model.encoder.layer:
        core = layer.attention.self
        _set_head_dim(core, {"attention_head_size": 64, "all_head_size": 128})
        for name in ("query", "key", "value"):
            setattr(core, name, _normal(torch.nn.Linear(WIDTH, 128)))
        layer.attention.output.dense = _normal(torch.nn.Linear(128, WIDTH))
    return model


def _vit(attention: str) -> torch.nn.Module:
    config = transformers.ViTConfig(
        hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS, num_attention_heads=2,
        image_size=IMAGE, patch_size=PATCH, num_channels=1, initializer_range=0.2,
        attn_implementation=attention)
    config.head_dim = 64
    return transformers.ViTModel(config, add_pooling_layer=False)


def _tokens(generator: torch.Generator) -> Tensors:
    """Token ids, and a mask that pads the last row at its end."""
    ids = torch.randint(0, VOCABULARY, (BATCH, SEQUENCE), generator=generator)
    mask = torch.ones(BATCH, SEQUENCE, dtype=torch.int64)
    mask[-1, -PADDING:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _left_padded_tokens(generator: torch.Generator) -> Tensors:
    """As batched generation pads. Under a causal mask the queries of the padding see no key at all."""
    tokens = _tokens(generator)
    return tokens | {"attention_mask": tokens["attention_mask"].flip(1)}


def _pixels(generator: torch.Generator) -> Tensors:
    return {"pixel_values": torch.randn(BATCH, 1, IMAGE, IMAGE, generator=generator)}


_TEXT = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}
_PICTURE = {"pixel_values": {0: "batch"}}

ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(_llama, _tokens, _TEXT, "logits", "self_attn.o_proj", 4, 2, 64),
    "qwen2": Architecture(_qwen2, _left_padded_tokens, _TEXT, "logits", "self_attn.o_proj", 2, 1, 128),
    "gpt2": Architecture(_gpt2, _tokens, _TEXT, "logits", "attn.c_proj", 2, 2, 64),
    "bert": Architecture(_bert, _tokens, _TEXT, "last_hidden_state", "attention.output.dense", 2, 2, 64),
    "vit": Architecture(_vit, _pixels, _PICTURE, "last_hidden_state", "attention.o_proj", 2, 2, 64),
}


def build(name: str, attention: str, seed: int) -> torch.nn.Module:
    """The model with seeded weights. Biases and norm weights, which start as constants, are made
    distinct: otherwise the exporter merges equal ones into one initializer."""
    torch.manual_seed(seed)
    model = ARCHITECTURES[name].build(attention).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model
