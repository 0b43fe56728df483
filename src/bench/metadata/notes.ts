/** What a reader of the figures must know. */
import type { MetadataBenchOptions } from './options.js';
import type { MetadataReport } from './report.js';

const ownLimits = 'limits of rate, connections and bytes of one client are switched off, since all load comes from one address';

export function notesOf({ only }: MetadataBenchOptions, server: MetadataReport['server']): string[] {
  const notes = [
    server.own ? `the server was started for this: ${ownLimits}` : 'the server was there before: its own limits apply',
    'each connection is a channel of its own with one call under way at a time; latencies are those of the caller',
    'replies are left as bytes: decoding them is not measured; the CPU time of clients is that of gRPC for Node',
    'publish: each connection publishes its worker again and again; heartbeat: each keeps its worker READY',
  ];
  if (only.includes('list')) {
    notes.push(
      'list: the READY workers of one identity, all of which got a heartbeat right before each measurement',
      '"with heartbeats": while those workers go on sending one every 30 s each; what they cost the server is in its CPU time a call',
    );
  }
  if (server.usageFrom === null) notes.push("the server's CPU time and memory are not measured: give --metrics URL");
  if (only.includes('resident') && server.usageFrom !== null) {
    notes.push(
      `resident memory: of the server's process, after heartbeats, without forced garbage collection${server.own ? '; each repetition has a fresh server' : ''}${server.store === 'memory' ? '' : '; what the store keeps elsewhere is not in it'}`,
    );
  }
  if (server.store !== 'memory')
    notes.push('what was published as weightcast-bench/… is STALE now: no call removes it, servers forget it after their time');
  return notes;
}
