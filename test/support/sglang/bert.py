"""The forward pass of a BERT encoder, in numpy: what a model computes is what its weights are for."""

import numpy as np


def embed(weights, tokens, heads):
    """The sentence embedding of token ids: every layer, then the mean over the tokens, of length one. float32."""
    positions = weights["embeddings.position_ids"][0, : len(tokens)]
    hidden = (
        weights["embeddings.word_embeddings.weight"][tokens]
        + weights["embeddings.position_embeddings.weight"][positions]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    hidden = norm(weights, "embeddings.LayerNorm", hidden)
    layer = 0
    while f"encoder.layer.{layer}.output.dense.weight" in weights:
        hidden = encode(weights, f"encoder.layer.{layer}", hidden, heads)
        layer += 1
    mean = hidden.mean(axis=0)
    return mean / np.linalg.norm(mean)


def encode(weights, layer, hidden, heads):
    query, key, value = (
        np.stack(np.split(dense(weights, f"{layer}.attention.self.{part}", hidden), heads, axis=1))
        for part in ("query", "key", "value")
    )
    scores = softmax(query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[2])))
    attended = np.concatenate(list(scores @ value), axis=1)
    hidden = norm(weights, f"{layer}.attention.output.LayerNorm", dense(weights, f"{layer}.attention.output.dense", attended) + hidden)
    inner = gelu(dense(weights, f"{layer}.intermediate.dense", hidden))
    return norm(weights, f"{layer}.output.LayerNorm", dense(weights, f"{layer}.output.dense", inner) + hidden)


def dense(weights, name, value):
    return value @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def norm(weights, name, value):
    centred = value - value.mean(axis=1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(1e-12))
    return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def gelu(value):
    return np.float32(0.5) * value * (1 + np.tanh(np.float32(np.sqrt(2 / np.pi)) * (value + np.float32(0.044715) * value**3)))
