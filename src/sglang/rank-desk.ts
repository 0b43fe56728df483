/** What is answered to SGLang's processes, by path: targets ask for a rank, other ranks register. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { toWeightcastError } from '../errors.js';
import { sendJson, sendText } from '../http/answer.js';
import { readBody } from '../http/body.js';
import type { HttpHandler, Routes } from '../http/routes.js';
import type { Logger } from '../observe/logger.js';
import { isLoopback, plainAddress } from '../rpc/plain-address.js';
import { parseRegistration, RankTable, type RankInfo } from './rank-table.js';

/** Whose registrations are taken: `host` means processes of this host. */
export type Registrants = 'host' | 'any' | 'none';

/** Where SGLang's processes register. */
export const registerPath = '/register_transfer_engine_info';
/** Where they look each other up. */
export const lookupPath = '/get_transfer_engine_info';
/** What targets ask, by its older name, which SGLang's own targets still use, and by its newer. */
export const questionPaths = ['/get_remote_instance_transfer_engine_info', '/remote_instance_transfer_engine_info'] as const;

/** A rank of 500 000 tensors. Bytes. */
const maxRegistrationBytes = 64 * 2 ** 20;

/** What the one who asked is told instead of an answer. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export class RankDesk {
  readonly #table = new RankTable();
  /** Ranks of this process, which no other may take over, and whether they can be read. */
  readonly #own = new Map<number, () => Promise<boolean>>();

  constructor(
    private readonly registrants: Registrants,
    private readonly logger: Logger,
  ) {}

  /** A rank of this process. @throws ERR_OVERLOADED when the table is full. */
  offer(rank: number, info: RankInfo, healthy: () => Promise<boolean>): void {
    this.#table.set(rank, info);
    this.#own.set(rank, healthy);
  }

  routes(): Routes {
    const answer = refusing((_request, response, url) => this.#answer(response, url));
    return new Map<string, HttpHandler>([
      ...[...questionPaths, lookupPath].map((path): [string, HttpHandler] => [path, answer]),
      [`PUT ${registerPath}`, refusing((request, response) => this.#register(request, response))],
      [`DELETE ${registerPath}`, refusing((request, response, url) => this.#unregister(request, response, url))],
      ['/health', (_request, response) => sendText(response, 200, 'OK')],
    ]);
  }

  async #answer(response: ServerResponse, url: URL): Promise<void> {
    const rank = rankOf(url);
    const info = this.#table.infoOf(rank);
    if (info === undefined) throw new Refusal(404, `No transfer engine info for rank ${rank}`);
    if ((await this.#own.get(rank)?.()) === false) throw new Refusal(503, `The data plane of rank ${rank} does not work`);
    sendText(response, 200, `{"rank":${rank},"remote_instance_transfer_engine_info":${info}}`, 'application/json');
  }

  async #register(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#admit(request);
    const body = await readBody(request, maxRegistrationBytes);
    if (body === undefined) throw new Refusal(413, `A registration has at most ${maxRegistrationBytes} bytes`);
    try {
      const { rank, info } = parseRegistration(body.toString('utf8'));
      if (this.#own.has(rank)) throw new Refusal(409, `Rank ${rank} is served by the process that answers here`);
      this.#table.set(rank, info);
      this.logger.info('a rank has registered', { rank, sessionId: info.sessionId });
    } catch (error) {
      if (error instanceof Refusal) throw error;
      const { code, message } = toWeightcastError(error);
      throw new Refusal(code === 'ERR_OVERLOADED' ? 507 : 400, message);
    }
    sendText(response, 200, 'OK');
  }

  /** What SGLang does not have: a seed that ends takes its registration back. */
  #unregister(request: IncomingMessage, response: ServerResponse, url: URL): void {
    this.#admit(request);
    const rank = rankOf(url);
    const sessionId = url.searchParams.get('session_id') ?? '';
    if (this.#own.has(rank) || !this.#table.remove(rank, sessionId)) {
      throw new Refusal(404, `No transfer engine info for rank ${rank} of session ${JSON.stringify(sessionId)}`);
    }
    this.logger.info('a rank has taken its registration back', { rank, sessionId });
    sendText(response, 200, 'OK');
  }

  /** Who registers a rank decides where that rank's weights come from. */
  #admit({ socket }: IncomingMessage): void {
    if (this.registrants === 'any') return;
    if (this.registrants === 'none') throw new Refusal(403, 'No registrations are taken here');
    const { remoteAddress: from = '', localAddress: to = '' } = socket;
    if (isLoopback(from) || plainAddress(from) === plainAddress(to)) return;
    throw new Refusal(403, 'Registrations are taken from processes of this host only');
  }
}

/** SGLang's two servers word errors differently; whoever asks finds the field that it looks for. */
function refusing(handler: HttpHandler): HttpHandler {
  return async (request, response, url) => {
    try {
      await handler(request, response, url);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { status, message } = error;
      sendJson(response, status, { error: { message }, detail: message });
    }
  };
}

function rankOf(url: URL): number {
  const text = url.searchParams.get('rank') ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new Refusal(400, 'Missing or invalid rank parameter');
}
