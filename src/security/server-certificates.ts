/** Reading a server's certificates, and finding out what is wrong with them before a client does. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { WeightcastError } from '../errors.js';
import type { ServerTlsFiles } from './tls-files.js';

/** File contents that fit together. */
export interface ServerCertificates {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly clientCa: Buffer | undefined;
  /** When the server's own certificate ends. */
  readonly validTo: Date;
  /** Subject of the server's own certificate, on one line. */
  readonly subject: string;
}

/** @throws ERR_TLS that names the file and what is wrong: unreadable, not PEM, not valid now, or a key of something else. */
export async function readServerCertificates(files: ServerTlsFiles, now = new Date()): Promise<ServerCertificates> {
  const cert = await read('certificate', files.certFile);
  const key = await read('private key', files.keyFile);
  const { clientCaFile } = files;
  const clientCa = clientCaFile === undefined ? undefined : await read('client CA', clientCaFile);

  const [own] = certificatesIn(cert, 'certificate', files.certFile);
  checkDates(own, files.certFile, now);
  const privateKey = keyIn(key, files.keyFile);
  if (!own.checkPrivateKey(privateKey)) {
    throw wrong(files.keyFile, `the private key file ${files.keyFile} does not belong to the first certificate in ${files.certFile}`);
  }
  if (clientCa !== undefined && clientCaFile !== undefined) certificatesIn(clientCa, 'client CA', clientCaFile);
  try {
    createSecureContext({ cert, key, ca: clientCa });
  } catch (error) {
    throw wrong(files.certFile, `OpenSSL refuses the certificate file ${files.certFile}: ${reasonOf(error)}`, error);
  }
  return { cert, key, clientCa, validTo: new Date(own.validTo), subject: own.subject.replaceAll('\n', ', ') };
}

async function read(what: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw wrong(file, `cannot read the ${what} file ${file}: ${reasonOf(error)}`, error);
  }
}

const pem = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

function certificatesIn(bytes: Buffer, what: string, file: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = bytes.toString('latin1').match(pem) ?? [];
  if (first === undefined) throw wrong(file, `the ${what} file ${file} holds no PEM block "CERTIFICATE"`);
  const parse = (text: string): X509Certificate => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw wrong(file, `the ${what} file ${file} holds a certificate that cannot be read: ${reasonOf(error)}`, error);
    }
  };
  return [parse(first), ...rest.map(parse)];
}

function keyIn(bytes: Buffer, file: string): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(bytes.toString('latin1'))) {
    throw wrong(file, `the private key file ${file} holds no PEM block "PRIVATE KEY"`);
  }
  try {
    return createPrivateKey(bytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ERR_MISSING_PASSPHRASE' ? 'it is encrypted; give one without a passphrase' : reasonOf(error);
    throw wrong(file, `the private key in ${file} cannot be used: ${reason}`, error);
  }
}

function checkDates(certificate: X509Certificate, file: string, now: Date): void {
  const from = new Date(certificate.validFrom);
  const to = new Date(certificate.validTo);
  if (now > to) throw wrong(file, `the certificate in ${file} expired on ${to.toISOString()}; give a newer one`);
  if (now < from) throw wrong(file, `the certificate in ${file} is not valid before ${from.toISOString()}; check the clock`);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  return message;
}

function wrong(file: string, text: string, cause?: unknown): WeightcastError {
  return new WeightcastError('ERR_TLS', text, { file, cause });
}
