/** OpenSSL's codes in sentences. Each is a clause whose subject is the server, with what to do about it. */
import type { TLSSocket } from 'node:tls';
import type { ClientTls } from './client-tls.js';

/** What is wrong with the certificate that a server showed; undefined: nothing. */
export function explainCertificate(socket: TLSSocket, tls: ClientTls): string | undefined {
  const certificate = socket.getPeerCertificate();
  if (!socket.authorized) return explainVerification(String(socket.authorizationError), certificate, tls);
  if (tls.checkName(certificate) === undefined) return undefined;
  const names = certificate.subjectaltname ?? `CN=${String(certificate.subject.CN)}`;
  return `its certificate is for ${names}, not for ${tls.expectedName}; call it by one of these names, or give --tls-server-name`;
}

function explainVerification(code: string, certificate: { valid_from: string; valid_to: string }, tls: ClientTls): string {
  if (code === 'CERT_HAS_EXPIRED') return `its certificate, or one that signed it, has expired (its own ends on ${certificate.valid_to})`;
  if (code === 'CERT_NOT_YET_VALID') return `its certificate is not valid before ${certificate.valid_from}; check this machine's clock`;
  if (!/^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_)/.test(code)) return `its certificate is not accepted: ${code}`;
  const { caFile } = tls.files;
  const trusted = caFile === undefined ? 'the authorities that Node knows; give --tls-ca' : `the authorities in ${caFile}`;
  return `its certificate is not signed by one of ${trusted} (${code})`;
}

const aboutOurs: Record<string, string> = {
  CERTIFICATE_REQUIRED: 'it wants a client certificate',
  UNKNOWN_CA: "it does not trust the authority that signed the client's certificate",
  CERTIFICATE_EXPIRED: "it says that the client's certificate has expired",
  CERTIFICATE_REVOKED: "it says that the client's certificate was revoked",
  BAD_CERTIFICATE: "it does not accept the client's certificate",
  CERTIFICATE_UNKNOWN: "it does not accept the client's certificate",
  ACCESS_DENIED: "it does not accept the client's certificate",
};

/** Why a connection broke; undefined where it was not TLS that broke it. */
export function explainAlert(error: NodeJS.ErrnoException & { readonly reason?: string }, tls: ClientTls): string | undefined {
  const code = error.code ?? '';
  const text = error.reason ?? error.message;
  if (/wrong version number|packet length too long|http request|unexpected message|ALERT_PROTOCOL_VERSION/i.test(`${text} ${code}`)) {
    return 'it does not speak TLS on this port; for clear text give its address without https://, and no TLS files';
  }
  const alert = /_ALERT_(.+)$/.exec(code)?.[1];
  const ours = aboutOurs[alert ?? ''];
  if (ours !== undefined) return `${ours}: ${shownCertificate(tls)}`;
  return code.startsWith('ERR_SSL_') || code === 'EPROTO' ? `the handshake failed: ${text}` : undefined;
}

/** What a server was shown that asked who calls. */
export function shownCertificate({ files: { certFile } }: ClientTls): string {
  return certFile === undefined ? 'none is given (--tls-cert, --tls-key)' : `${certFile} is shown`;
}
