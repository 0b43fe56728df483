/** Reading a server's certificates, and finding out what is wrong with them before a client does. */
import type { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { certificatesIn, checkPair, keyIn, readPem, reasonOf, wrongPem } from './pem.js';
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
export function readServerCertificates(files: ServerTlsFiles, now = new Date()): ServerCertificates {
  const cert = readPem(files.certFile, 'certificate');
  const key = readPem(files.keyFile, 'private key');
  const { clientCaFile } = files;
  const clientCa = clientCaFile === undefined ? undefined : readPem(clientCaFile, 'client CA');

  const [own] = certificatesIn(cert, 'certificate', files.certFile);
  checkDates(own, files.certFile, now);
  checkPair(own, files.certFile, keyIn(key, files.keyFile), files.keyFile);
  if (clientCa !== undefined && clientCaFile !== undefined) certificatesIn(clientCa, 'client CA', clientCaFile);
  try {
    createSecureContext({ cert, key, ca: clientCa });
  } catch (error) {
    throw wrongPem(files.certFile, `OpenSSL refuses the certificate file ${files.certFile}: ${reasonOf(error)}`, error);
  }
  return { cert, key, clientCa, validTo: new Date(own.validTo), subject: own.subject.replaceAll('\n', ', ') };
}

function checkDates(certificate: X509Certificate, file: string, now: Date): void {
  const from = new Date(certificate.validFrom);
  const to = new Date(certificate.validTo);
  if (now > to) throw wrongPem(file, `the certificate in ${file} expired on ${to.toISOString()}; give a newer one`);
  if (now < from) throw wrongPem(file, `the certificate in ${file} is not valid before ${from.toISOString()}; check the clock`);
}
