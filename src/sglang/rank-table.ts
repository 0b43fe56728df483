/** What SGLang's bootstrap server knows: per rank, where an engine is and where its weights are. */
import { WeightcastError } from '../errors.js';
import { parseJson, type JsonObject, type JsonValue } from '../handshake/json.js';
import type { Elements } from './elements.js';

/** A tensor as SGLang's processes tell each other of it. */
export interface OfferedTensor extends Elements {
  readonly name: string;
  readonly address: bigint;
}

/** One rank's weights. */
export interface RankInfo {
  /** `host:port` of the engine's handshake. */
  readonly sessionId: string;
  readonly tensors: Iterable<OfferedTensor>;
}

interface Row {
  readonly sessionId: string;
  /** `[session id, {name: [address, numel, element size]}]`, encoded. */
  readonly info: string;
}

/** More ranks than a host has accelerators, and than most fleets have. */
const maxRanks = 4096;
/** Of all rows together; a rank of 100 000 tensors has 10 MB. Characters. */
const maxCharacters = 1 << 29;

export class RankTable {
  readonly #rows = new Map<number, Row>();
  #characters = 0;

  /** `[session id, {…}]` as JSON text; `undefined` for a rank that nobody registered. */
  infoOf(rank: number): string | undefined {
    return this.#rows.get(rank)?.info;
  }

  /** Replaces what was known of the rank. @throws ERR_OVERLOADED when the table is full. */
  set(rank: number, { sessionId, tensors }: RankInfo): void {
    const row = { sessionId, info: `[${JSON.stringify(sessionId)},${weightsJson(tensors)}]` };
    const characters = this.#characters - (this.infoOf(rank)?.length ?? 0) + row.info.length;
    if (characters > maxCharacters || (this.#rows.size >= maxRanks && !this.#rows.has(rank))) {
      throw new WeightcastError('ERR_OVERLOADED', `no room for rank ${rank}: ${this.#rows.size} ranks are registered here`);
    }
    this.#characters = characters;
    this.#rows.set(rank, row);
  }

  /** Whether it was there: a rank that another process has registered meanwhile stays. */
  remove(rank: number, sessionId: string): boolean {
    const row = this.#rows.get(rank);
    if (row?.sessionId !== sessionId) return false;
    this.#characters -= row.info.length;
    return this.#rows.delete(rank);
  }
}

/** Text by hand: addresses are beyond the whole numbers of a double, and names may be `__proto__`. */
export function weightsJson(tensors: Iterable<OfferedTensor>): string {
  const members: string[] = [];
  for (const { name, address, numel, elementSize } of tensors) {
    members.push(`${JSON.stringify(name)}:[${address},${numel},${elementSize}]`);
  }
  return `{${members.join(',')}}`;
}

/**
 * What a rank registers: `{"rank" or "tp_rank", "transfer_engine_info": {"session_id", "weights_info_dict"}}`; `rank` counts
 * where both are given, as in SGLang. Other fields are ignored.
 *
 * @throws ERR_PROTOCOL that names what is wrong.
 */
export function parseRegistration(text: string): { rank: number; info: RankInfo } {
  const registration = objectOf(parseJson(text), 'a registration');
  const rank = registration['rank'] ?? registration['tp_rank'];
  if (typeof rank !== 'number' || !Number.isInteger(rank) || rank < 0) {
    throw wrong(`rank is ${shown(rank)}: expected a whole number, 0 or more, in "rank" or "tp_rank"`);
  }
  const info = objectOf(registration['transfer_engine_info'], 'transfer_engine_info');
  const { session_id: sessionId, weights_info_dict: weights } = info;
  if (typeof sessionId !== 'string' || sessionId === '') throw wrong(`session_id is ${shown(sessionId)}: expected host:port`);
  const tensors = Object.entries(objectOf(weights, 'weights_info_dict')).map(([name, entry]) => tensorOf(name, entry));
  return { rank, info: { sessionId, tensors } };
}

function tensorOf(name: string, entry: JsonValue): OfferedTensor {
  if (Array.isArray(entry) && entry.length >= 3) {
    const [address, numel, elementSize] = entry;
    if (isSize(address) && isSize(numel) && typeof elementSize === 'number' && isSize(elementSize)) {
      return { name, address: BigInt(address), numel: BigInt(numel), elementSize };
    }
  }
  throw wrong(`${JSON.stringify(name.slice(0, 100))} is ${shown(entry)}: expected [address, numel, element size]`);
}

function isSize(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'bigint' ? value >= 0n : typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function objectOf(value: JsonValue | undefined, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw wrong(`${what} is ${shown(value)}: expected a JSON object`);
}

function shown(value: JsonValue | undefined): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? `a list of ${value.length}` : 'an object';
  return value === undefined ? 'missing' : typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
}

function wrong(text: string): WeightcastError {
  return new WeightcastError('ERR_PROTOCOL', text);
}
