/** An SGLang rank as a process (engine.py): a real Mooncake engine, and what SGLang's loader does with it. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MooncakePeer, versions, whySkip as whyNoMooncake } from '../mooncake/peer.js';

// From build/test/support/sglang, where this file is compiled to.
const program = fileURLToPath(new URL('../../../../test/support/sglang/engine.py', import.meta.url));

/** The release of Mooncake that ranks run: the newest. */
export const mooncake = versions[0] ?? '';

/** Why there are no ranks; `false` when there are. */
export function whySkip(): string | false {
  return whyNoMooncake(mooncake);
}

/** Of a rank, or of a checkpoint: the digest of each tensor, and what the model computes. */
export interface Contents {
  readonly sha256s: Readonly<Record<string, string>>;
  /** The embedding of one sentence, bytes as hexadecimal digits. */
  readonly embedding: string;
}

/** "the cat sits outside", as the vocabulary of the model has it. */
const sentence = [101, 1996, 4937, 7719, 2648, 102];

export interface RankOptions {
  /** With the model's config.json: what says how the model is built. */
  readonly folder: string;
  readonly version?: string;
  readonly host?: string;
  readonly protocol?: 'rdma' | 'tcp';
  readonly device?: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Killed after the tests of the file. Calls must not overlap. */
export class SglangRank {
  private registered = false;

  private constructor(
    readonly peer: MooncakePeer,
    readonly sessionId: string,
    private readonly folder: string,
  ) {}

  /** With an engine, and a model whose weights are not loaded. */
  static async start({ folder, version = mooncake, host = '127.0.0.1', protocol, device, env }: RankOptions): Promise<SglangRank> {
    // A token file of this machine, or a proxy, is none of the test's business.
    const peer = MooncakePeer.start(version, { MX_AUTH_TOKEN_PATH: '/nonexistent', no_proxy: '*', ...env }, program);
    const sessionId = await peer.initialize(host, { ...(protocol && { protocol }), ...(device !== undefined && { device }) });
    await peer.call('build', { folder });
    return new SglangRank(peer, sessionId, folder);
  }

  /** Registered then. */
  async loadFromCheckpoint(): Promise<void> {
    await this.peer.call('load_from_checkpoint', { folder: this.folder });
    await this.register();
  }

  /** From the checkpoint, and answering at the URLs of an instance. */
  async serve(rank: number): Promise<{ readonly bootstrap: string; readonly url: string }> {
    await this.loadFromCheckpoint();
    const { bootstrap, public: url } = await this.peer.call<{ bootstrap: string; public: string }>('serve');
    await this.publish(bootstrap, rank);
    return { bootstrap, url };
  }

  /** Tells a bootstrap server of this rank's weights; the answer. */
  publish(bootstrap: string, rank: number): Promise<readonly [status: number, text: string]> {
    return this.peer.call('publish', { bootstrap, rank });
  }

  /** Registers its memory, and reads the weights of the rank of the instance at this URL; how many tensors. */
  async loadFrom(url: string, rank: number): Promise<number> {
    await this.register();
    return this.peer.call('load_from_instance', { url, rank });
  }

  /** Mooncake refuses memory that it has already. */
  private async register(): Promise<void> {
    if (!this.registered) await this.peer.call('register');
    this.registered = true;
  }

  /** ModelExpress' own loader: weights from a source, or from the checkpoint; which it was. It is a source afterwards. */
  async loadThroughModelExpress(server: string, identity: object, rank: number, workerId: string): Promise<'source' | 'checkpoint'> {
    const { folder } = this;
    const natively = await this.peer.call<boolean>('load_through_modelexpress', { folder, server, identity, rank, worker_id: workerId });
    return natively ? 'checkpoint' : 'source';
  }

  /** Digests of what the model holds now. */
  sha256s(): Promise<Contents['sha256s']> {
    return this.peer.call('sha256s');
  }

  /** What the model holds, and computes, now. */
  async contents(): Promise<Contents> {
    const { folder } = this;
    return { sha256s: await this.sha256s(), embedding: await this.peer.call('embedding', { folder, tokens: sentence }) };
  }

  /** What a file of weights holds; default: the checkpoint. */
  async contentsOf(weights = join(this.folder, 'model.safetensors')): Promise<Contents> {
    const { folder } = this;
    return {
      sha256s: await this.peer.call('sha256s_of', { weights, folder }),
      embedding: await this.peer.call('embedding_of', { weights, folder, tokens: sentence }),
    };
  }
}
