/** A proxy between two processes that keeps every byte that they tell each other: how test/fixtures/mooncake is made. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { FrameReader, MessageType, parseAddress, parseJson } from '#src/handshake/index.js';

// From build/test/support/mooncake, where this file is compiled to.
const folder = new URL('../../../../test/fixtures/mooncake/', import.meta.url);

/** Who spoke: a Mooncake TransferEngine, or Weightcast. */
export type Party = 'mooncake' | 'weightcast';

/** Bytes that one side sent before the other side sent some. */
export interface Part {
  readonly from: 'asker' | 'answerer';
  readonly hex: string;
}

/** One connection, from its first byte to its end. */
export interface Exchange {
  /** What it is about. */
  readonly note: string;
  /** `handshake`: framed messages. `data`: requests of 24 bytes and what answers them. */
  readonly port: 'handshake' | 'data';
  /** Who connected. */
  readonly asker: Party;
  readonly answerer: Party;
  readonly parts: readonly Part[];
  /** Who ended its own direction first. */
  readonly closedBy: 'asker' | 'answerer';
}

/** A file of test/fixtures/mooncake/VERSION. Addresses, ports and keys are those of the processes that were recorded. */
export interface Recording {
  readonly schemaVersion: 1;
  readonly version: string;
  readonly transport: 'tcp' | 'rdma';
  readonly recorded: string;
  readonly exchanges: readonly Exchange[];
}

/** All recordings of a release, by file name. */
export async function recordingsOf(version: string): Promise<ReadonlyMap<string, Recording>> {
  const files = (await readdir(new URL(version, folder))).sort();
  const read = async (file: string): Promise<[string, Recording]> => [
    file,
    JSON.parse(await readFile(new URL(`${version}/${file}`, folder), 'utf8')) as Recording,
  ];
  return new Map(await Promise.all(files.map(read)));
}

/** Writes test/fixtures/mooncake/VERSION/NAME.json, or into another folder. */
export async function saveRecording(
  name: string,
  recording: Omit<Recording, 'schemaVersion' | 'recorded'>,
  into = folder,
): Promise<string> {
  const file = new URL(`${recording.version}/${name}.json`, into);
  const recorded = new Date().toISOString().slice(0, 10);
  await mkdir(new URL('.', file), { recursive: true });
  await writeFile(file, `${JSON.stringify({ schemaVersion: 1, recorded, ...recording }, null, 2)}\n`);
  return fileURLToPath(file);
}

/** Stands before one process, the answerer, for one other that asks. */
export class Recorder {
  readonly exchanges: Exchange[] = [];
  /** Said of the exchanges that begin from now on. */
  note = '';
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  #dataPort: number | undefined;
  #open = 0;

  /**
   * @param named the asker is told the recorder's name for the answerer's, wherever that stands, and the other way round: RDMA peers send
   * Connection messages to the name that the descriptor says. What is kept is what each side sent.
   */
  constructor(
    private readonly asker: Party,
    private readonly answerer: Party,
    private readonly named = false,
  ) {}

  /**
   * The session to ask instead of `session`. TCP descriptors that pass are told to the asker with a data port of the recorder's, so that
   * the reads pass as well; what is kept is what the answerer sent.
   */
  async handshake(session: string): Promise<string> {
    const target = parseAddress(session);
    const port = await this.#listen('handshake', target, async (answer) => {
      const reader = new FrameReader(answer.length);
      const [frame] = reader.push(answer);
      if (frame?.type !== MessageType.metadata) return answer;
      const descriptor = parseJson(frame.payload.toString()) as { readonly tcp_data_port?: bigint | number } | null;
      const actual = Number(descriptor?.tcp_data_port ?? 0);
      if (actual === 0) return answer;
      this.#dataPort ??= await this.#listen('data', { host: target.host, port: actual }, (bytes) => Promise.resolve(bytes));
      return reframed(answer, `"tcp_data_port":${String(actual)}`, `"tcp_data_port":${String(this.#dataPort)}`);
    });
    return `${target.host}:${String(port)}`;
  }

  /** Resolves when no connection is open. */
  async quiet(): Promise<void> {
    while (this.#open > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Ends what is still open; the exchanges then are complete. */
  async close(): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.quiet();
  }

  async #listen(
    port: Exchange['port'],
    target: { host: string; port: number },
    told: (answer: Buffer) => Promise<Buffer>,
  ): Promise<number> {
    const server = createServer({ noDelay: true }, (socket) => {
      const { port: own } = server.address() as AddressInfo;
      const names = this.named ? { own: `${target.host}:${String(own)}`, actual: `${target.host}:${String(target.port)}` } : undefined;
      this.#pass(port, socket, connect({ ...target, noDelay: true }), told, names);
    });
    await new Promise<void>((resolve) => server.listen(0, target.host, resolve));
    this.#servers.add(server);
    return (server.address() as AddressInfo).port;
  }

  #pass(
    port: Exchange['port'],
    asking: Socket,
    answering: Socket,
    told: (answer: Buffer) => Promise<Buffer>,
    names: { readonly own: string; readonly actual: string } | undefined,
  ): void {
    const parts: { from: Part['from']; bytes: Buffer }[] = [];
    const { note, asker, answerer } = this;
    let closedBy: Exchange['closedBy'] | undefined;
    this.#open++;
    const ended = (by: Exchange['closedBy']): void => {
      if (closedBy !== undefined) return;
      closedBy = by;
      const hex = parts.map(({ from, bytes }) => ({ from, hex: bytes.toString('hex') }));
      this.exchanges.push({ note, port, asker, answerer, parts: hex, closedBy });
      this.#open--;
    };
    const keep = (from: Part['from'], bytes: Buffer): Buffer => {
      const last = parts.at(-1);
      if (last?.from === from) last.bytes = Buffer.concat([last.bytes, bytes]);
      else parts.push({ from, bytes });
      return parts.at(-1)?.bytes ?? bytes;
    };
    for (const socket of [asking, answering]) {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    }
    asking.on('data', (bytes: Buffer) => {
      const whole = keep('asker', bytes);
      if (names === undefined) answering.write(bytes);
      else if (isWhole(whole)) answering.write(reframed(whole, names.own, names.actual));
    });
    let telling = Promise.resolve();
    answering.on('data', (bytes: Buffer) => {
      const whole = keep('answerer', bytes);
      telling = telling.then(async () => {
        // A message is told when it is complete, in one piece; bytes of tensors as they come.
        if (port === 'data') asking.write(bytes);
        else if (isWhole(whole)) {
          const answer = await told(whole);
          asking.write(names === undefined ? answer : reframed(answer, names.actual, names.own));
        }
      });
    });
    asking.on('close', () => {
      ended('asker');
      answering.destroy();
    });
    answering.on('end', () => {
      void telling.then(() => asking.end());
      ended('answerer');
    });
    answering.on('close', () => {
      ended('answerer');
      void telling.then(() => asking.destroySoon());
    });
  }
}

function isWhole(frame: Buffer): boolean {
  return frame.length >= 8 && frame.readBigUInt64LE() === BigInt(frame.length - 8);
}

function reframed(frame: Buffer, from: string, into: string): Buffer {
  const text = frame.subarray(8).toString('latin1').replaceAll(from, into);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, Buffer.from(text, 'latin1')]);
}
