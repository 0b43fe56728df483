/**
 * What a test inside the Soft-RoCE machine (`scripts/softroce-vm`) knows of it, and how the hosts of a two-host test meet.
 *
 * With two hosts each runs its own node process, with its own test files; they share one folder and nothing else but the
 * wire. A name is published once and can be waited for by everybody; put the test's own name in front of it.
 */
import { access, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between two looks at the shared folder; each costs the emulated machine about a millisecond. */
const POLL_MS = 20;

/** The default of every wait, in milliseconds: node alone takes seconds to start in there. */
const WAIT_MS = 120_000;

/** Whether this process runs inside the machine. Tests of real verbs live in `test/softroce` and run nowhere else. */
export const insideMachine = process.env['RDMA_SHARED'] !== undefined;

/** Which host this is: 0 or 1. */
export const hostIndex = Number(process.env['HOST_INDEX'] ?? 0);

/** How many hosts there are: 1 or 2. */
export const hosts = Number(process.env['HOSTS'] ?? 1);

/** How many RDMA devices each host has. */
export const rails = Number(process.env['RAILS'] ?? 0);

/** The GID that is an IPv4 address; index 0 is a link-local one that its interface need not have. */
export const GID_INDEX = 1;

/** The RDMA device of a rail, on every host. */
export function device(rail: number): string {
  return `rxe${rail}`;
}

/** The IPv4 address of a host on a rail. */
export function address(host: number, rail = 0): string {
  return `10.77.${rail}.${host + 1}`;
}

/** The folder whose files survive the machine: logs and measurements. Throws outside the machine. */
export function outDirectory(): string {
  return required('RDMA_OUT');
}

/**
 * Makes `value` (anything that JSON can hold) known to all hosts under `name`; a second publication replaces the first.
 * Throws outside the machine.
 */
export async function publish(name: string, value: unknown = null): Promise<void> {
  const file = sharedFile(name);
  const unfinished = `${file}.${hostIndex}.${process.pid}`;
  await writeFile(unfinished, JSON.stringify(value));
  await rename(unfinished, file);
}

/**
 * Waits until somebody published `name` and returns the value, which the caller vouches for being a `T`. Rejects after
 * `timeoutMs` with an error that names it.
 */
export async function published<T = unknown>(name: string, timeoutMs = WAIT_MS): Promise<T> {
  const file = sharedFile(name);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (await exists(file)) return JSON.parse(await readFile(file, 'utf8')) as T;
    if (performance.now() >= deadline) throw new Error(`host ${hostIndex}: nobody published '${name}' within ${timeoutMs} ms`);
    await sleep(POLL_MS);
  }
}

/** Returns once every host has called it with this name, which can be used once. Rejects after `timeoutMs`. */
export async function barrier(name: string, timeoutMs = WAIT_MS): Promise<void> {
  const arrival = (host: number): string => `${name}.barrier${host}`;
  await publish(arrival(hostIndex));
  for (let host = 0; host < hosts; host += 1) await published(arrival(host), timeoutMs);
}

function sharedFile(name: string): string {
  if (!/^[\w.-]+$/.test(name)) throw new Error(`'${name}': a name has letters, digits, '_', '-' and '.' only`);
  return join(required('RDMA_SHARED'), name);
}

function required(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set: this runs inside scripts/softroce-vm only`);
  return value;
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
