/** What the addon's tests share: faults, a seed over TCP on loopback, child processes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  native,
  type NativeCode,
  type NativeLane,
  type NativeRegion,
  type NativeTcpServer,
  type NativeTransferOptions,
} from '#src/native.js';

export const packageRoot = fileURLToPath(new URL('../../../../', import.meta.url));

/** For `assert.throws` and `assert.rejects`: a native fault of `code` whose message matches. */
export function faultOf(code: NativeCode, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Error, `not an Error: ${String(error)}`);
    const { nativeCode, call, errno, wcStatus, vendorError } = error as unknown as Record<string, unknown>;
    assert.deepEqual(
      [nativeCode, typeof call, typeof errno, typeof wcStatus, typeof vendorError],
      [code, 'string', 'number', 'number', 'number'],
      error.message,
    );
    assert.match(error.message, message);
    return true;
  };
}

/** A region of pseudo-random bytes; the same for the same seed. */
export async function filledRegion(bytes: bigint, seed: number): Promise<NativeRegion> {
  const region = await native().allocate(bytes, 'never');
  const words = new Uint32Array(region.view(0n, Number(bytes - (bytes % 4n))));
  let state = seed;
  for (let index = 0; index < words.length; index += 1) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[index] = state;
  }
  return region;
}

export function bytesOf(region: NativeRegion): Uint8Array {
  return new Uint8Array(region.view(0n, Number(region.byteLength)));
}

/** A native server on loopback that serves all of `regions`. */
export async function serve(...regions: NativeRegion[]): Promise<NativeTcpServer> {
  const server = await native().listenTcp('127.0.0.1', 0, 1);
  server.serve(
    regions,
    BigUint64Array.from(regions, (region) => region.address),
    BigUint64Array.from(regions, (region) => region.byteLength),
  );
  return server;
}

export async function connect(server: { readonly port: number }, name = 'tcp', protocolVersion: 1 | 2 = 1): Promise<NativeLane> {
  return native().connectTcpLane({
    name,
    host: '127.0.0.1',
    port: server.port,
    protocolVersion,
    connectTimeoutMs: 5000,
    stallTimeoutMs: 20_000,
  });
}

/** Options that read all of `from` into the start of `into`. */
export function wholeRegion(from: NativeRegion, into: NativeRegion, lanes: readonly NativeLane[]): NativeTransferOptions {
  return {
    remoteAddress: BigUint64Array.of(from.address),
    length: BigUint64Array.of(from.byteLength),
    localOffset: BigUint64Array.of(0n),
    region: Uint32Array.of(0),
    regions: [into],
    bufferAddress: BigUint64Array.of(from.address),
    bufferLength: BigUint64Array.of(from.byteLength),
    lanes,
    sliceBytes: 1 << 20,
    maxSegments: 16,
    merge: true,
  };
}

export interface ChildOutcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs an ES module in a fresh Node process; it may import `#src/...`. Killed with SIGKILL after a minute, so that a hang is a
 * failure of its test.
 */
export async function runChild(script: string, flags: readonly string[] = []): Promise<ChildOutcome> {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', script], {
    cwd: packageRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
  });
}
