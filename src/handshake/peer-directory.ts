/** GIDs of readers that do not send them with the Connection message (Mooncake before 0.3.11). */
import { WeightcastError } from '../errors.js';
import { fetchOwner } from './client.js';
import type { SegmentDescriptor, SegmentDevice } from './descriptor.js';
import { decodeOwner, type SegmentOwner } from './descriptor-decode.js';

/** Readers remembered; the longest unused goes first. */
const maxReaders = 1024;
/** Devices of one reader: more are not a host's. */
const maxDevices = 64;
/** Questions to readers in flight. */
const maxQuestions = 16;
const questionTimeoutMs = 5_000;

/**
 * Server name → devices, learnt from the descriptors that readers send with their Metadata requests; asked for when missing.
 * Bounded, since anybody may send anything.
 */
export class PeerDirectory {
  readonly #readers = new Map<string, readonly SegmentDevice[]>();
  readonly #questions = new Map<string, Promise<SegmentOwner>>();

  /** Takes the body of a Metadata request; ignores what is no descriptor with devices. */
  remember(request: unknown): void {
    try {
      this.#store(decodeOwner(request));
    } catch (error) {
      // Whoever sent it gets its answer all the same: peers ignore this body entirely.
      if (!(error instanceof WeightcastError)) throw error;
    }
  }

  /**
   * A reader's device. `own` is the descriptor that a question to the reader carries.
   *
   * @throws WeightcastError `ERR_HANDSHAKE` when the reader has no such device; as `exchange` when it cannot be asked.
   */
  async find(server: string, device: string, own: SegmentDescriptor, signal?: AbortSignal): Promise<SegmentDevice> {
    const known = this.#lookUp(server, device);
    if (known !== undefined) return known;
    const owner = await this.#ask(server, own, signal);
    const found = owner.devices.find(({ name }) => name === device);
    if (found === undefined) {
      throw new WeightcastError(
        'ERR_HANDSHAKE',
        `no GID of ${server}@${device}: neither its Connection message nor its descriptor has one`,
        {
          peer: server,
        },
      );
    }
    return found;
  }

  #lookUp(server: string, device: string): SegmentDevice | undefined {
    const devices = this.#readers.get(server);
    if (devices === undefined) return undefined;
    this.#readers.delete(server);
    this.#readers.set(server, devices);
    return devices.find(({ name }) => name === device);
  }

  /** One question a reader, however many of its devices connect at once. */
  async #ask(server: string, own: SegmentDescriptor, signal: AbortSignal | undefined): Promise<SegmentOwner> {
    const running = this.#questions.get(server);
    if (running !== undefined) return running;
    if (this.#questions.size >= maxQuestions) {
      throw new WeightcastError('ERR_HANDSHAKE', `too many readers without a GID at once: ${server} should try again`, { peer: server });
    }
    const question = fetchOwner(server, own, { signal, timeoutMs: questionTimeoutMs }).then((owner) => {
      this.#store({ names: [server, ...owner.names], devices: owner.devices });
      return owner;
    });
    this.#questions.set(server, question);
    try {
      return await question;
    } finally {
      this.#questions.delete(server);
    }
  }

  #store({ names, devices }: SegmentOwner): void {
    if (devices.length === 0 || devices.length > maxDevices) return;
    for (const name of new Set(names)) {
      this.#readers.delete(name);
      this.#readers.set(name, devices);
    }
    for (const oldest of this.#readers.keys()) {
      if (this.#readers.size <= maxReaders) break;
      this.#readers.delete(oldest);
    }
  }
}
