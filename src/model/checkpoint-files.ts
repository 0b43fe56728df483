/** What stands beside the weights of a generated checkpoint. Small, valid, and always the same for the same arguments. */

/** A JSON text with a line end, as checkpoints have it. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

/** `model.safetensors.index.json` for `files`: file name → names of its tensors. */
export function indexText(files: ReadonlyMap<string, readonly string[]>, totalBytes: bigint): string {
  // Without a prototype, so that a tensor called __proto__ is a key like any other.
  const weightMap = Object.create(null) as Record<string, string>;
  for (const [file, tensors] of files) for (const tensor of tensors) weightMap[tensor] = file;
  return jsonText({ metadata: { total_size: Number(totalBytes) }, weight_map: weightMap });
}

/** `config.json` when the caller has none: says only that it is generated. */
export const defaultConfig: Readonly<Record<string, unknown>> = {
  architectures: ['WeightcastGenerated'],
  bos_token_id: 0,
  eos_token_id: 1,
  model_type: 'weightcast_generated',
};

/** `generation_config.json` that goes with a `config.json`. */
export function generationConfig(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { bos_token_id: config['bos_token_id'] ?? 0, eos_token_id: config['eos_token_id'] ?? 1, do_sample: false };
}

/** A `tokenizer.json` in the layout of the tokenizers library: two special tokens, then one token a byte. */
export function tokenizer(): Record<string, unknown> {
  const special = ['<|begin|>', '<|end|>'];
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const vocabulary = Object.fromEntries([...special, ...bytes].map((token, id) => [token, id]));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({ id, content, ...flags })),
    normalizer: null,
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab: vocabulary, unk_token: '<|end|>' },
  };
}
