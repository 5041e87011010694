"""Pre-training of the tiny model: two stages of plain next-token learning on the teacher's transcripts.

The first stage (lessons) teaches skill, the second (episodes) teaches behaviour; see :class:`.transcript.Teacher`. The
schedule counts steps and not seconds, so that a busy machine makes the same model, later.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from . import countdown_world, function_world
from .tokenizer import END, PAD, ROLES
from .transcript import Teacher, Turn

IGNORED = -100  # label of a token that carries no loss, as in torch


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the model, but for the world itself."""

    seed: int = 0
    steps: int = 2800
    tokens_per_batch: int = 1400
    learning_rate: float = 3e-3
    warmup_steps: int = 40
    drill_share: float = 0.36  # of the steps
    lesson_share: float = 0.22
    functions_share: float = 0.3  # of the steps; the others are Countdown's
    obedience_share: float = 0.4  # of the documents after the drills
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    initializer_range: float = 0.07  # near 1/sqrt(hidden_size); 0.02, meant for large models, learns half as fast


def make_recipe(seed: int = 0, steps: int | None = None) -> Recipe:
    """The recipe with this seed, at its own number of steps unless ``steps`` says otherwise."""
    return Recipe(seed=seed) if steps is None else Recipe(seed=seed, steps=steps)


def make_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A fresh float32 Llama of about 700,000 parameters."""
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        intermediate_size=2 * recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=recipe.initializer_range,
        attn_implementation="eager",  # faster than "sdpa" at this size; not stored, so loaders choose their own
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).float()


def batches(recipe: Recipe, tokenizer: Tokenizer) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One batch a step, of one world: token ids and labels, both (documents, longest document)."""
    random = Random(recipe.seed)
    countdown, functions = countdown_world.teacher(), function_world.teacher(recipe.seed)
    for step in range(recipe.steps):
        teacher = functions if random.random() < recipe.functions_share else countdown
        documents, tokens = [], 0
        while tokens < recipe.tokens_per_batch:
            documents += encode(tokenizer, [_write(recipe, step, random, teacher) for _ in range(4)])
            tokens = sum(len(ids) for ids, _ in documents)
        yield _pad(documents, tokenizer.encode(PAD).ids[0])


def _write(recipe: Recipe, step: int, random: Random, teacher: Teacher) -> list[Turn]:
    """One document of the stage that ``step`` belongs to."""
    progress = step / recipe.steps - recipe.drill_share
    if progress < 0:
        return teacher.drill(random)
    if random.random() < recipe.obedience_share:
        return teacher.obedience(random)
    return teacher.lesson(random) if progress < recipe.lesson_share else teacher.episode(random)


def encode(tokenizer: Tokenizer, documents: list[list[Turn]]) -> list[tuple[list[int], list[int]]]:
    """(ids, labels) of each document; the ids are those the chat template gives."""
    texts = [turn.content for turns in documents for turn in turns]
    contents = iter(tokenizer.encode_batch(texts, add_special_tokens=False))
    end = tokenizer.encode(END).ids[0]
    roles = {role: tokenizer.encode(token).ids[0] for role, token in ROLES.items()}
    encoded = []
    for turns in documents:
        ids: list[int] = []
        labels: list[int] = []
        for turn in turns:
            said = [*next(contents).ids, end]
            ids += [roles[turn.role], *said]
            labels += [IGNORED, *(said if turn.trainable else [IGNORED] * len(said))]
        encoded.append((ids, labels))
    return encoded


def _pad(documents: list[tuple[list[int], list[int]]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids, labels), padded on the right to the longest document."""
    longest = max(len(ids) for ids, _ in documents)
    ids = [ids + [pad] * (longest - len(ids)) for ids, _ in documents]
    labels = [labels + [IGNORED] * (longest - len(labels)) for _, labels in documents]
    return torch.tensor(ids), torch.tensor(labels)


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine down to 2 %."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup_steps) * (0.02 + 0.98 * cosine)


def train(
    recipe: Recipe, tokenizer: PreTrainedTokenizerFast, on_step: Callable[[int, float], None]
) -> LlamaForCausalLM:
    """The trained model. ``on_step`` is told each step's number (from 1) and its mean loss per trained token (nats)."""
    model = make_model(recipe, tokenizer)
    # Half the time where the processor multiplies bfloat16, many times the time where it does not.
    fast = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True
    )
    for step, (ids, labels) in enumerate(batches(recipe, tokenizer.backend_tokenizer)):
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, step)
        # Padding is on the right and attention is causal, so no attention mask is needed.
        trained = labels[:, 1:] != IGNORED
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            hidden = model.model(ids).last_hidden_state[:, :-1]
            logits = model.lm_head(hidden[trained])
        loss = torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][trained])
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        on_step(step + 1, loss.item())
    return model
