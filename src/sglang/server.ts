/**
 * The HTTP side of an SGLang seed: what its targets ask, `GET /get_remote_instance_transfer_engine_info?rank=N`, and what the
 * other ranks of its host tell, `PUT /register_transfer_engine_info`. SGLang has a port for each; here it is one.
 */
import { HttpListener } from '../http/listener.js';
import type { Logger } from '../observe/logger.js';
import type { Address } from '../rpc/address.js';
import { RankDesk, type Registrants } from './rank-desk.js';
import type { RankInfo } from './rank-table.js';

export interface SglangServerOptions {
  /** Port 0 takes a free one. */
  readonly address: Address;
  readonly registrants: Registrants;
  readonly logger: Logger;
}

/** For answers under way at the end. Milliseconds. */
const graceMs = 1000;

export class SglangServer {
  readonly port: number;

  private constructor(
    private readonly listener: HttpListener,
    private readonly desk: RankDesk,
  ) {
    this.port = listener.port;
  }

  /**
   * Listens; every rank is unknown at first. The caller closes it.
   * @throws ERR_INVALID_ARGUMENT for a host that is not known, ERR_IO when the system refuses the address.
   */
  static async listen({ address, registrants, logger }: SglangServerOptions): Promise<SglangServer> {
    const desk = new RankDesk(registrants, logger);
    return new SglangServer(await HttpListener.open({ address, routes: desk.routes(), logger }), desk);
  }

  /**
   * Answers for a rank of this process from now on.
   * @param healthy - asked with every question; while it says no, targets are sent away with 503.
   */
  offer(rank: number, info: RankInfo, healthy: () => Promise<boolean>): void {
    this.desk.offer(rank, info, healthy);
  }

  /** Answers nothing any more; answers under way may finish for a second. Idempotent, never rejects. */
  close(): Promise<void> {
    return this.listener.close(graceMs);
  }
}
