/** The client that is measured while others attack: what a target and a seed ask of a metadata server. */
import assert from 'node:assert/strict';
import { MetadataClient } from '#src/metadata/client.js';
import { identity, READY, worker } from '../../support/p2p-messages.js';
import { tensors } from '../metadata/support.js';
import { ownSecurity } from './secure-side.js';
import type { Cleanup } from './support.js';

const workerId = 'worker-0';

/** What the client needs to know of where it takes place. */
export interface Side {
  /** The folder of `makeSecureSide` where TLS and a token are wanted. */
  readonly secure: string | undefined;
  /** Of the worker that is asked for. */
  readonly tensorCount: number;
}

export class WellBehaved {
  readonly #client: MetadataClient;
  readonly #tensorCount: number;
  #source = '';

  private constructor(client: MetadataClient, tensorCount: number) {
    this.#client = client;
    this.#tensorCount = tensorCount;
  }

  /**
   * Connects, publishes a worker, and asks for a while.
   *
   * @param rounds so many: a hundred have everything compiled, on both sides
   */
  static async connect(test: Cleanup, port: number, { secure, tensorCount }: Side, rounds = 10): Promise<WellBehaved> {
    const client = new MetadataClient(`127.0.0.1:${String(port)}`, secure === undefined ? {} : { security: ownSecurity(secure) });
    test.after(() => client.close());
    const one = new WellBehaved(client, tensorCount);
    const list = tensors(tensorCount);
    one.#source = await client.publish({ identity, workerId, worker: worker({ workerRank: 0, tensors: list, status: READY }) });
    for (let i = 0; i < rounds; i += 1) await one.round();
    return one;
  }

  /**
   * A target finds its source and gets the list of its tensors; the source's heartbeat.
   *
   * @returns how long the heartbeat alone took, in milliseconds
   */
  async round(): Promise<number> {
    const [found] = await this.#client.listSources({ identity });
    assert.equal(found?.workerId, workerId);
    const published = await this.#client.getMetadata(this.#source, workerId);
    assert.equal(published?.worker.tensors.length, this.#tensorCount);
    const start = performance.now();
    const { success } = await this.#client.updateStatus({ mxSourceId: this.#source, workerId, workerRank: 0, status: READY });
    assert.ok(success);
    return performance.now() - start;
  }

  close(): void {
    this.#client.close();
  }
}
