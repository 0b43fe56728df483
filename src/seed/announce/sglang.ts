/** To SGLang's processes, without a metadata server: an HTTP port of our own, and the bootstrap server of an instance. */
import { formatAddress } from '../../rpc/address.js';
import { isLoopback } from '../../rpc/plain-address.js';
import { elementsOf } from '../../sglang/elements.js';
import type { RankInfo } from '../../sglang/rank-table.js';
import { Registration } from '../../sglang/registration.js';
import { SglangServer } from '../../sglang/server.js';
import type { SglangOffer, SeedSummary } from '../options.js';
import type { Announcer, Beginning, Ready } from './announcer.js';

/** Between two looks whether the bootstrap server still knows the seed. Milliseconds. */
const defaultIntervalMs = 30_000;

export class SglangAnnouncer implements Announcer {
  readonly carriesChecksums = false;

  private constructor(
    private readonly offer: SglangOffer,
    private readonly server: SglangServer | undefined,
  ) {}

  /** A port that is taken is found out now. Until the seed is ready its rank is not known there. @throws ERR_IO */
  static async open(offer: SglangOffer, { host, logger, cleanups }: Beginning): Promise<SglangAnnouncer> {
    const { port, registrants = 'host' } = offer;
    if (port === undefined) return new SglangAnnouncer(offer, undefined);
    const server = await SglangServer.listen({ address: { host: offer.host ?? listenHost(host), port }, registrants, logger });
    cleanups.push(() => server.close());
    return new SglangAnnouncer(offer, server);
  }

  check(): string[] {
    return [];
  }

  /** What it opens is closed first: no target is sent to a seed that ends. */
  async announce(ready: Ready): Promise<Partial<SeedSummary>> {
    const { options, rank, host, healthy, logger, cleanups } = ready;
    const { server, offer } = this;
    const info = infoOf(ready);
    if (offer.register !== undefined) {
      const registration = await Registration.start({
        url: offer.register,
        rank,
        info,
        intervalMs: options.heartbeatIntervalMs ?? defaultIntervalMs,
        logger,
        signal: options.signal,
      });
      cleanups.push(() => registration.stop());
    }
    if (server !== undefined) {
      server.offer(rank, info, healthy);
      cleanups.push(() => server.close());
    }
    return {
      sglang: {
        url: server === undefined ? '' : `http://${formatAddress({ host, port: server.port })}`,
        registeredAt: offer.register ?? '',
      },
    };
  }
}

/** As the data plane: a loopback address stays private; else every interface, since ranks of this host come over loopback. */
function listenHost(host: string): string {
  if (isLoopback(host)) return host;
  return host.includes(':') ? '::' : '0.0.0.0';
}

function infoOf({ content, tensors, plane }: Ready): RankInfo {
  return {
    sessionId: plane.sessionId,
    tensors: tensors.map(({ name, addr, size, dtype }, index) => {
      return { name, address: addr, ...elementsOf(dtype, size, content.tensors[index]?.elementSize) };
    }),
  };
}
