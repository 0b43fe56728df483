/** Reading PEM, so that what is wrong with a file is said with its name and before it is used. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { WeightcastError } from '../errors.js';

/** What {@link readKeyPair} read: a certificate with its intermediate ones, and its private key. */
export interface PemKeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** The content of a file of one or more certificates. @throws ERR_TLS that names the file and what is wrong with it. */
export function readCertificates(file: string): Buffer {
  const bytes = readPem(file, 'certificate');
  certificatesIn(bytes, 'certificate', file);
  return bytes;
}

/** A certificate file and the file of its key. @throws ERR_TLS that names the file, also when the two do not belong together. */
export function readKeyPair(certFile: string, keyFile: string): PemKeyPair {
  const cert = readPem(certFile, 'certificate');
  const key = readPem(keyFile, 'private key');
  checkPair(certificatesIn(cert, 'certificate', certFile)[0], certFile, keyIn(key, keyFile), keyFile);
  return { cert, key };
}

const block = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

/** At least one. @throws ERR_TLS that names the file and the block that cannot be read. */
export function certificatesIn(bytes: Buffer, what: string, file: string): [X509Certificate, ...X509Certificate[]] {
  const [first, ...rest] = bytes.toString('latin1').match(block) ?? [];
  if (first === undefined) throw wrongPem(file, `the ${what} file ${file} holds no PEM block "CERTIFICATE"`);
  const parse = (text: string): X509Certificate => {
    try {
      return new X509Certificate(text);
    } catch (error) {
      throw wrongPem(file, `the ${what} file ${file} holds a certificate that cannot be read: ${reasonOf(error)}`, error);
    }
  };
  return [parse(first), ...rest.map(parse)];
}

/** @throws ERR_TLS that names the file: no key, or one with a passphrase. */
export function keyIn(bytes: Buffer, file: string): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(bytes.toString('latin1'))) {
    throw wrongPem(file, `the private key file ${file} holds no PEM block "PRIVATE KEY"`);
  }
  try {
    return createPrivateKey(bytes);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ERR_MISSING_PASSPHRASE' ? 'it is encrypted; give one without a passphrase' : reasonOf(error);
    throw wrongPem(file, `the private key in ${file} cannot be used: ${reason}`, error);
  }
}

/** @throws ERR_TLS when the key is that of another certificate. */
export function checkPair(certificate: X509Certificate, certFile: string, key: KeyObject, keyFile: string): void {
  if (certificate.checkPrivateKey(key)) return;
  throw wrongPem(keyFile, `the private key file ${keyFile} does not belong to the first certificate in ${certFile}`);
}

/** @throws ERR_TLS that names the file. */
export function readPem(file: string, what: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw wrongPem(file, `cannot read the ${what} file ${file}: ${reasonOf(error)}`, error);
  }
}

/** What is wrong with a file of certificates or keys. */
export function wrongPem(file: string, text: string, cause?: unknown): WeightcastError {
  return new WeightcastError('ERR_TLS', text, { file, ...(cause !== undefined && { cause }) });
}

/** Why a file cannot be read or used, in words. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  return message;
}
