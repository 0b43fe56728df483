/** What an SGLang server answers of one rank: the session of its engine, and where the tensors are. */
import { WeightcastError } from '../errors.js';
import { parseJson, type JsonObject, type JsonValue } from '../handshake/json.js';
import type { OfferedTensor } from './rank-table.js';

/** One rank's weights. */
export interface TransferInfo {
  /** `host:port` of the engine's handshake. */
  readonly sessionId: string;
  readonly tensors: readonly OfferedTensor[];
}

const field = 'remote_instance_transfer_engine_info';
const addressSpace = 1n << 64n;

/**
 * `{"rank": n, "remote_instance_transfer_engine_info": [session id, {name: [address, numel, element size]}]}`. Both lists only
 * ever grow at their ends (protocol, fabric, other endpoints; device): what is behind is not looked at.
 *
 * @param from whom the errors name.
 * @returns `undefined` where the server has nothing yet: `null`, for all of it, the session or the weights.
 * @throws ERR_PROTOCOL that names what is wrong.
 */
export function parseTransferInfo(text: string, rank: number, from: string): TransferInfo | undefined {
  const wrong = (what: string): WeightcastError => new WeightcastError('ERR_PROTOCOL', `${from} answers ${what}`, { peer: from });
  const reply = read(text, from);
  if (!isObject(reply)) throw wrong(`${shown(reply)} where a JSON object with "${field}" is expected`);
  const { rank: of = rank, [field]: info } = reply;
  if (of !== rank) throw wrong(`for rank ${shown(of)}, but was asked for rank ${rank}`);
  if (info === null) return undefined;
  if (!Array.isArray(info) || info.length < 2) throw wrong(`${shown(info)} for "${field}": expected [session id, {name: …}]`);
  const [sessionId, weights] = info;
  if (sessionId === null || weights === null) return undefined;
  if (typeof sessionId !== 'string' || sessionId === '') throw wrong(`${shown(sessionId)} for the session id: expected host:port`);
  if (!isObject(weights)) throw wrong(`${shown(weights)} for the weights: expected {name: [address, numel, element size]}`);
  const tensors = Object.entries(weights).map(([name, entry]): OfferedTensor => {
    if (/\p{Surrogate}/u.test(name)) throw wrong(`the tensor name ${JSON.stringify(name.slice(0, 100))}, which is no text`);
    const [address, numel, elementSize] = Array.isArray(entry) ? entry : [];
    if (!isSize(address) || !isSize(numel) || typeof elementSize !== 'number' || !isSize(elementSize) || elementSize === 0) {
      throw wrong(`${shown(entry)} for tensor ${JSON.stringify(name.slice(0, 100))}: expected [address, numel, element size]`);
    }
    const tensor = { name, address: BigInt(address), numel: BigInt(numel), elementSize };
    if (tensor.address + bytesOf(tensor) > addressSpace) {
      throw wrong(
        `[${address}, ${numel}, ${elementSize}] for tensor ${JSON.stringify(name.slice(0, 100))}: past the end of the address space`,
      );
    }
    return tensor;
  });
  if (tensors.length === 0) throw wrong('without any tensor');
  return { sessionId, tensors };
}

export function bytesOf({ numel, elementSize }: Pick<OfferedTensor, 'numel' | 'elementSize'>): bigint {
  return numel * BigInt(elementSize);
}

/** What a server says of an error: SGLang's own two forms, FastAPI's, or the text as it is. `''` for nothing of use. */
export function errorText(body: string): string {
  try {
    const reply = parseJson(body);
    const { error, detail, message } = isObject(reply) ? reply : {};
    const said = [isObject(error) ? error['message'] : error, detail, message].find((value) => typeof value === 'string');
    if (typeof said === 'string') return tidy(said);
  } catch {
    // Not JSON.
  }
  return /^\s*</.test(body) ? '' : tidy(body);
}

function tidy(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 300);
}

function read(text: string, from: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof WeightcastError)) throw error;
    throw new WeightcastError('ERR_PROTOCOL', `${from} answers what is no JSON: ${error.message}`, { cause: error, peer: from });
  }
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSize(value: JsonValue | undefined): value is number | bigint {
  return typeof value === 'bigint' ? value >= 0n : typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function shown(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return 'an object';
  return value === undefined ? 'nothing' : typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value);
}
