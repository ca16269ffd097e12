"""The architectures of the fixtures: transformers' own classes, two small layers, random weights."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import transformers

LAYERS = 2
VOCABULARY = 64
POSITIONS = 40
BATCH = 2
SEQUENCE = 17
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


def _llama(attention: str) -> torch.nn.Module:
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, head_dim=64, max_position_embeddings=POSITIONS,
        initializer_range=0.2, use_cache=False, attn_implementation=attention)
    return transformers.LlamaForCausalLM(config)


def _qwen2(attention: str) -> torch.nn.Module:
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=POSITIONS,
        initializer_range=0.2, use_cache=False, attn_implementation=attention)
    config.head_dim = 128
    return transformers.Qwen2ForCausalLM(config)


def _gpt2(attention: str) -> torch.nn.Module:
    # GPT-2 ties the head dim to the width, so 64 costs a width of 128; one c_attn matrix serves
    # both layers to keep the file small.
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_positions=POSITIONS, n_embd=128, n_inner=32, n_layer=LAYERS, n_head=2,
        initializer_range=0.1, use_cache=False, attn_implementation=attention)
    model = transformers.GPT2LMHeadModel(config)
    first, second = model.transformer.h
    second.attn.c_attn.weight = first.attn.c_attn.weight
    return model


def _bert(attention: str) -> torch.nn.Module:
    # Head dim 32, as in the 12-head, 384-wide sentence encoders.
    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=32, num_hidden_layers=LAYERS,
        num_attention_heads=2, max_position_embeddings=POSITIONS, initializer_range=0.15,
        attn_implementation=attention)
    return transformers.BertModel(config, add_pooling_layer=False)


def _vit(attention: str) -> torch.nn.Module:
    config = transformers.ViTConfig(
        hidden_size=48, intermediate_size=32, num_hidden_layers=LAYERS, num_attention_heads=2,
        image_size=IMAGE, patch_size=PATCH, num_channels=1, initializer_range=0.15,
        attn_implementation=attention)
    config.head_dim = 64
    return transformers.ViTModel(config, add_pooling_layer=False)


def _tokens(generator: torch.Generator) -> Tensors:
    """Token ids, and a mask that pads the last row at its end."""
    ids = torch.randint(0, VOCABULARY, (BATCH, SEQUENCE), generator=generator)
    mask = torch.ones(BATCH, SEQUENCE, dtype=torch.int64)
    mask[-1, -5:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _pixels(generator: torch.Generator) -> Tensors:
    return {"pixel_values": torch.randn(BATCH, 1, IMAGE, IMAGE, generator=generator)}


_TEXT = {name: {0: "batch", 1: "sequence"} for name in ("input_ids", "attention_mask")}
_PICTURE = {"pixel_values": {0: "batch"}}

ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(_llama, _tokens, _TEXT, "logits", "self_attn.o_proj", 4, 2, 64),
    "qwen2": Architecture(_qwen2, _tokens, _TEXT, "logits", "self_attn.o_proj", 2, 1, 128),
    "gpt2": Architecture(_gpt2, _tokens, _TEXT, "logits", "attn.c_proj", 2, 2, 64),
    "bert": Architecture(_bert, _tokens, _TEXT, "last_hidden_state", "attention.output.dense", 2, 2, 32),
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
