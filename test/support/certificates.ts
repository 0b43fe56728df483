/** X.509 certificates made on the spot: DER by hand, because node:crypto signs bytes but not certificates. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface Pem {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly commonName: string;
  /** DNS names and IPv4 addresses; default: none. */
  readonly names?: readonly string[];
  /** Default: an hour ago. */
  readonly from?: Date;
  /** Default: in an hour. */
  readonly to?: Date;
}

const hourMs = 3_600_000;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), body]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const bits = (bytes: Uint8Array): Buffer => der(0x03, Buffer.from([0]), bytes);
const octets = (bytes: Uint8Array): Buffer => der(0x04, bytes);

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = (value: number): number[] => {
    const digits = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

const name = (commonName: string): Buffer => sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(commonName)))));
const time = (date: Date): Buffer => der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]|\..*/g, '')}Z`));
const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));

const extension = (id: string, value: Uint8Array): Buffer => sequence(oid(id), octets(value));
const basicConstraints = extension('2.5.29.19', sequence(der(0x01, Buffer.from([0xff]))));

function subjectAltName(names: readonly string[]): Buffer {
  const entries = names.map((entry) =>
    isIP(entry) === 4 ? der(0x87, Buffer.from(entry.split('.').map(Number))) : der(0x82, Buffer.from(entry)),
  );
  return extension('2.5.29.17', sequence(...entries));
}

const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${(bytes.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`;

/** A certificate authority of the test's own. */
export class Authority {
  readonly #name: string;
  readonly #key: KeyObject;
  /** Its certificate, PEM: what the other side trusts. */
  readonly cert: string;

  constructor(commonName: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#name = commonName;
    this.#key = privateKey;
    this.cert = this.#certify({ commonName }, publicKey, [basicConstraints]);
  }

  /** A certificate with a key of its own, P-256, for servers and clients alike. */
  issue(options: CertificateOptions): Pem {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const names = options.names ?? [];
    const cert = this.#certify(options, createPublicKey(privateKey), names.length === 0 ? [] : [subjectAltName(names)]);
    return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  }

  #certify(options: CertificateOptions, publicKey: KeyObject, extensions: Buffer[]): string {
    const { commonName, from = new Date(Date.now() - hourMs), to = new Date(Date.now() + hourMs) } = options;
    const serial = randomBytes(8);
    serial[0] = (serial.readUInt8(0) & 0x7f) | 0x40;
    const signed = sequence(
      der(0xa0, der(0x02, Buffer.from([2]))),
      der(0x02, serial),
      ecdsaWithSha256,
      name(this.#name),
      sequence(time(from), time(to)),
      name(commonName),
      publicKey.export({ type: 'spki', format: 'der' }),
      ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
    );
    return pem('CERTIFICATE', sequence(signed, ecdsaWithSha256, bits(sign('sha256', signed, this.#key))));
  }
}
