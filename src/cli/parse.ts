/** Values of flags. Each parser returns the value or throws what commander reports as a bad value: exit code 2. */
import { isIP } from 'node:net';
import { InvalidArgumentError } from 'commander';
import { parseDevice } from '../device/device.js';

const uint32Max = 0xffff_ffff;

/** A decimal integer of a range; `what` names it in the message. */
export function integer(what: string, min: number, max = uint32Max): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Expected ${what}, an integer from ${String(min)} to ${String(max)}.`);
    }
    return value;
  };
}

/** Seconds, decimals allowed; returns milliseconds. */
export function seconds(what: string, min: number): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    // Timers take no more than 2^31 - 1 ms.
    if (!(value >= min && value <= 2_147_483)) throw new InvalidArgumentError(`Expected ${what} in seconds, ${String(min)} or more.`);
    return Math.round(value * 1000);
  };
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** `1048576`, `256MB` (10^6), `1MiB` (2^20), `1.5GB`; returns bytes. */
export function byteSize(what: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text);
    const unit = byteUnits[match?.[2]?.toLowerCase() ?? '?'];
    const value = unit === undefined ? Number.NaN : Math.round(Number(match?.[1]) * unit);
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(
        `Expected ${what} in bytes from ${String(min)} to ${String(max)}, with a unit if you like: 256MB (10^6), 1MiB (2^20), 2GB.`,
      );
    }
    return value;
  };
}

/** `4096,64KiB,1MiB`: sizes of a range. */
export function byteSizes(what: string, min: number, max: number): (text: string) => readonly number[] {
  const one = byteSize(what, min, max);
  return (text) => text.split(',').map((member) => one(member.trim()));
}

/** A number, decimals allowed, 1 or more. */
export function atLeastOne(what: string): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= 1 && value <= 1e6)) throw new InvalidArgumentError(`Expected ${what}, a number from 1 to 1000000.`);
    return value;
  };
}

/** `10` or `2.5`; returns the share: 0.1. */
export function percent(what: string): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= 100)) throw new InvalidArgumentError(`Expected ${what} in percent, from 0 to 100.`);
    return value / 100;
  };
}

/** One of a fixed set. */
export function oneOf<const T extends string>(what: string, choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((candidate) => candidate === text);
    if (choice === undefined) throw new InvalidArgumentError(`Expected ${what}: ${choices.join(', ')}.`);
    return choice;
  };
}

/** Some of a fixed set, separated by commas; returns them in the order of the set. */
export function someOf<const T extends string>(what: string, choices: readonly T[]): (text: string) => readonly T[] {
  return (text) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.some((name) => !choices.some((choice) => choice === name))) {
      throw new InvalidArgumentError(`Expected ${what}, separated by commas: ${choices.join(', ')}.`);
    }
    return choices.filter((choice) => names.includes(choice));
  };
}

/** `1,16,64`: integers of a range. */
export function integers(what: string, min: number, max: number): (text: string) => readonly number[] {
  const one = integer(what, min, max);
  return (text) => text.split(',').map((member) => one(member.trim()));
}

/** A URL of `http:` or `https:`. */
export function httpUrl(what: string): (text: string) => string {
  return (text) => {
    if (!URL.canParse(text) || !/^https?:\/\//i.test(text)) {
      throw new InvalidArgumentError(`Expected the URL of ${what}, for example http://127.0.0.1:9401/metrics.`);
    }
    return text;
  };
}

/** Text that is not empty. */
export function nonEmpty(what: string): (text: string) => string {
  return (text) => {
    if (text.trim() === '') throw new InvalidArgumentError(`Expected ${what}, which is not empty.`);
    return text;
  };
}

/** `rxe0,rxe1`: names of RDMA devices, each once. */
export function deviceList(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => !/^[\w.-]+$/.test(name))) {
    throw new InvalidArgumentError('Expected RDMA device names separated by commas, for example mlx5_0,mlx5_1.');
  }
  if (new Set(names).size !== names.length) throw new InvalidArgumentError('Expected every RDMA device once.');
  return names;
}

/** `mlx5_0,cuda:0`: names of RDMA devices, each once, and at most one accelerator, which is what has a colon in its name. */
export function devicesAndAccelerator(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  const [accelerator, ...more] = names.filter((name) => name.includes(':'));
  if (more.length > 0) throw new InvalidArgumentError('Expected at most one accelerator.');
  if (accelerator !== undefined && parseDevice(accelerator) === undefined) {
    throw new InvalidArgumentError('Expected an accelerator as cuda:0 (NVIDIA) or hip:0 (AMD).');
  }
  const rdma = names.filter((name) => name !== accelerator);
  return rdma.length === 0 ? names : [...deviceList(rdma.join(',')), ...(accelerator === undefined ? [] : [accelerator])];
}

function isHostName(text: string): boolean {
  // A name with only digits in its last label would be read as an IPv4 address.
  return /^(?!-)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/.test(text) && !/^[\d.]+$/.test(text);
}

/** An address without a port: IPv4, IPv6 (without brackets) or a host name. */
export function hostAddress(text: string): string {
  if (isIP(text) === 0 && !isHostName(text)) {
    throw new InvalidArgumentError('Expected an address that peers reach this host at, without a port: 10.0.0.5, fd00::5 or a host name.');
  }
  return text;
}

/**
 * `host:port` of a gRPC server; `http://` in front and `/` behind are dropped.
 * @param lowestPort 0 where a port may be left to the system.
 */
export function hostAndPort(what: string, lowestPort: 0 | 1): (text: string) => string {
  return (text) => {
    if (/^https:/i.test(text)) throw new InvalidArgumentError(`Expected ${what} as plain host:port: https:// says nothing here.`);
    const plain = text.replace(/^http:\/\//i, '').replace(/\/$/, '');
    const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(plain);
    const [, v6, name, port] = match ?? [];
    const good = v6 !== undefined ? isIP(v6) === 6 : name !== undefined && (isIP(name) === 4 || isHostName(name));
    if (!good || Number(port) < lowestPort || Number(port) > 65_535) {
      throw new InvalidArgumentError(`Expected ${what} as host:port, for example 127.0.0.1:8001 or [::1]:8001.`);
    }
    return plain;
  };
}

/** `host:port` of a gRPC server to call. `https://` in front stays: it means TLS; `http://` and a last `/` are dropped. */
export function serverAddress(what: string): (text: string) => string {
  const plain = hostAndPort(what, 1);
  return (text) => (/^https:\/\/(?!https?:)/i.test(text) ? `https://${plain(text.slice('https://'.length))}` : plain(text));
}

/** A name in /dev/shm, with or without the leading slash. */
export function sharedMemoryName(text: string): string {
  const name = text.replace(/^\//, '');
  if (!/^[^/\0]{1,254}$/.test(name) || name === '.' || name === '..') {
    throw new InvalidArgumentError('Expected the name of a shared memory object: up to 254 characters and no slash but a leading one.');
  }
  return name;
}
