/** The deployment files of docs/deploy: what can be checked without a cluster, an engine for containers and a running systemd. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments, parseDocument } from 'yaml';
import { probeRoutes } from '#src/daemon/probes.js';
import { Readiness } from '#src/daemon/readiness.js';
import { type ResolvedConfig, resolveConfig } from '#src/daemon/config/resolve.js';
import { packageVersion } from '#src/version.js';
import { runCli } from '../../support/cli.js';
import { temporaryFolder } from '../../support/cluster.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const folder = join(root, 'docs/deploy');
const manifestFiles = readdirSync(join(folder, 'kubernetes')).map((name) => join(folder, 'kubernetes', name));
const read = (...path: string[]): string => readFileSync(join(folder, ...path), 'utf8');

/** The storeGraceMs of the daemon, in seconds. */
const storeSeconds = 5;

describe('the systemd unit', () => {
  const found = spawnSync('systemd-analyze', ['--version']).status === 0;
  const skip = found || process.env['CI'] === 'true' ? false : 'systemd-analyze is not installed';

  it('is what systemd understands', { skip }, async () => {
    // The program is not installed here; node is.
    const unit = read('weightcast.service').replace('/usr/local/bin/weightcast', process.execPath);
    const file = join(await temporaryFolder(), 'weightcast.service');
    await writeFile(file, unit);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
    assert.deepEqual([status, stderr], [0, '']);
  });

  it('gives the drain of its configuration time enough, and takes 143 for a good end', async () => {
    const unit = read('weightcast.service');
    const { config } = await resolveConfig({ flags: [], env: {}, file: join(folder, 'config.yaml') });
    const [, stop = ''] = /^TimeoutStopSec=(\d+)$/m.exec(unit) ?? [];
    assert.ok(Number(stop) >= (config.preStopDelayMs + config.drainGraceMs) / 1000 + storeSeconds);
    assert.match(unit, /^SuccessExitStatus=143$/m);
    assert.match(unit, /^ExecStart=\S+ serve --config \/etc\/weightcast\/config\.yaml$/m);
    const [, state = '?'] = /^StateDirectory=(\S+)$/m.exec(unit) ?? [];
    assert.deepEqual(config.store, { kind: 'durable', folder: `/var/lib/${state}` });
  });

  it('has a configuration that validates', async () => {
    const { code, stderr } = await runCli(['serve', '--validate-config', '--config', join(folder, 'config.yaml')]);
    assert.deepEqual([code, stderr], [0, '']);
  });
});

/** A field of YAML at a path, or undefined. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  let found = value;
  for (const step of path) found = (found as Record<string | number, unknown> | undefined)?.[step];
  return found;
}

interface Named {
  readonly name: string;
}

describe('the Kubernetes manifests', () => {
  const manifests = manifestFiles.flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as unknown),
  );
  const only = (kind: string): unknown => {
    const found = manifests.filter((manifest) => at(manifest, 'kind') === kind);
    assert.equal(found.length, 1, kind);
    return found[0];
  };
  const pod = at(only('Deployment'), 'spec', 'template');
  const container = at(pod, 'spec', 'containers', 0);

  /** The ConfigMap's, as the pod's environment completes it. */
  async function configured(): Promise<ResolvedConfig> {
    const file = join(await temporaryFolder(), 'config.yaml');
    await writeFile(file, String(at(only('ConfigMap'), 'data', 'config.yaml')));
    return resolveConfig({ flags: [], env: { REDIS_URL: 'redis://redis:6379' }, file });
  }

  it('are YAML without mistakes', () => {
    for (const file of manifestFiles) {
      for (const { errors, warnings } of parseAllDocuments(readFileSync(file, 'utf8')))
        assert.deepEqual([...errors, ...warnings], [], file);
    }
  });

  it('hold a configuration that validates, and that the deployment mounts where it is read', async () => {
    const { config, file } = await configured();
    assert.equal(config.store.kind, 'redis');
    assert.equal(config.auth.mode, 'kubernetes');
    const { code, stderr } = await runCli(['serve', '--validate-config', '--config', file ?? ''], {
      env: { REDIS_URL: 'redis://redis:6379' },
    });
    assert.equal(code, 0, stderr);
    const volume = at(pod, 'spec', 'volumes', 0);
    assert.equal(at(volume, 'configMap', 'name'), at(only('ConfigMap'), 'metadata', 'name'));
    assert.equal(at(container, 'volumeMounts', 0, 'name'), at(volume, 'name'));
    assert.deepEqual(at(container, 'args'), ['serve', '--config', `${String(at(container, 'volumeMounts', 0, 'mountPath'))}/config.yaml`]);
  });

  it('give the end as much time as the drain may take', async () => {
    const { config } = await configured();
    const needed = (config.preStopDelayMs + config.drainGraceMs) / 1000 + storeSeconds;
    assert.ok(Number(at(pod, 'spec', 'terminationGracePeriodSeconds')) > needed, `more than ${String(needed)} s`);
  });

  it('name ports and probes as the server has them', async () => {
    const { config } = await configured();
    const ports = at(container, 'ports') as (Named & { containerPort: number })[];
    const expected = { grpc: config.listen.port, http: config.http?.port, metrics: config.metrics?.port };
    assert.deepEqual(Object.fromEntries(ports.map(({ name, containerPort }) => [name, containerPort])), expected);
    for (const host of [config.listen.host, config.http?.host, config.metrics?.host]) assert.equal(host, '0.0.0.0');
    const names = new Set(ports.map(({ name }) => name));
    for (const { targetPort } of at(only('Service'), 'spec', 'ports') as { targetPort: string }[])
      assert.ok(names.has(targetPort), targetPort);
    for (const { port } of at(only('ServiceMonitor'), 'spec', 'endpoints') as { port: string }[]) assert.ok(names.has(port), port);
    const probes = probeRoutes(new Readiness());
    for (const kind of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const probe = at(container, kind) as { httpGet?: { path: string; port: string }; grpc?: { port: number } };
      if (probe.grpc !== undefined) assert.equal(probe.grpc.port, config.listen.port);
      else assert.ok(probe.httpGet !== undefined && probes.has(probe.httpGet.path) && probe.httpGet.port === 'http', kind);
    }
  });

  it('select the pods that they are about', () => {
    const labels = at(pod, 'metadata', 'labels');
    assert.deepEqual(at(only('Deployment'), 'spec', 'selector', 'matchLabels'), labels);
    assert.deepEqual(at(only('Service'), 'spec', 'selector'), labels);
    assert.deepEqual(at(only('PodDisruptionBudget'), 'spec', 'selector', 'matchLabels'), labels);
    assert.deepEqual(at(only('NetworkPolicy'), 'spec', 'podSelector', 'matchLabels'), labels);
    assert.deepEqual(at(only('ServiceMonitor'), 'spec', 'selector', 'matchLabels'), at(only('Service'), 'metadata', 'labels'));
    assert.equal(at(only('ServiceAccount'), 'metadata', 'name'), at(pod, 'spec', 'serviceAccountName'));
    assert.equal(at(only('ClusterRoleBinding'), 'subjects', 0, 'name'), at(only('ServiceAccount'), 'metadata', 'name'));
  });

  it('run as nobody, with nothing writable', () => {
    assert.equal(at(pod, 'spec', 'securityContext', 'runAsNonRoot'), true);
    assert.equal(at(container, 'securityContext', 'allowPrivilegeEscalation'), false);
    assert.equal(at(container, 'securityContext', 'readOnlyRootFilesystem'), true);
    assert.deepEqual(at(container, 'securityContext', 'capabilities', 'drop'), ['ALL']);
    assert.equal(at(container, 'image'), `weightcast-server:${packageVersion()}`);
  });

  const python = process.env['WEIGHTCAST_PYTHON'] ?? '';
  const validator = python !== '' && spawnSync(python, ['-c', 'import kubernetes_validate']).status === 0;
  it(
    "are what Kubernetes' own schemas allow, and nothing that they do not know",
    { skip: validator ? false : 'WEIGHTCAST_PYTHON does not name a Python with kubernetes-validate' },
    () => {
      const program = `
import sys, yaml, kubernetes_validate
for path in sys.argv[1:]:
    for manifest in yaml.safe_load_all(open(path)):
        if manifest['kind'] == 'ServiceMonitor': continue  # not of Kubernetes itself
        kubernetes_validate.validate(manifest, '1.34', strict=True)
        print(manifest['kind'])
`;
      const { status, stdout, stderr } = spawnSync(python, ['-c', program, ...manifestFiles], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      assert.equal(stdout.trim().split('\n').length, manifests.length - 1);
    },
  );
});

describe('the Containerfile', () => {
  /** Instructions with their arguments; continued lines joined, comments left out. */
  const instructions = read('Containerfile')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line): [string, string] => [line.split(' ', 1)[0] ?? '', line.slice(line.indexOf(' ') + 1).trim()]);
  const of = (name: string): string[] => instructions.filter(([instruction]) => instruction === name).map(([, rest]) => rest);
  const last = instructions.map(([name]) => name).lastIndexOf('FROM');

  it('has instructions that exist', () => {
    const known = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'];
    for (const [name] of instructions) assert.ok(known.includes(name), name);
    assert.equal(of('FROM').length, 2);
  });

  it('copies what is there, and from a stage that is there', () => {
    const stages = of('FROM').flatMap((from) => / AS (\S+)$/.exec(from)?.[1] ?? []);
    for (const copy of of('COPY')) {
      const [, stage, rest = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(copy) ?? [];
      if (stage !== undefined) assert.ok(stages.includes(stage), copy);
      else for (const path of rest.split(' ').slice(0, -1)) assert.ok(readdirSync(root).includes(path), path);
    }
  });

  it('runs as nobody, serves the default ports, and asks for its health', async () => {
    const [user] = of('USER');
    assert.match(user ?? '', /^[1-9]\d*:[1-9]\d*$/);
    assert.ok(instructions.findIndex(([name]) => name === 'USER') > last);
    const { config } = await resolveConfig({ flags: [], env: {} });
    assert.deepEqual(of('EXPOSE'), [[config.listen.port, config.http?.port, config.metrics?.port].join(' ')]);
    assert.match(
      of('HEALTHCHECK')[0] ?? '',
      / CMD weightcast health --quiet --server "127\.0\.0\.1:\$\{MODEL_EXPRESS_SERVER_PORT:-8001\}"$/,
    );
    assert.deepEqual([of('ENTRYPOINT'), of('CMD')], [['["weightcast"]'], ['["serve"]']]);
  });

  it('has JSON where it takes JSON', () => {
    for (const value of [...of('ENTRYPOINT'), ...of('CMD')]) assert.deepEqual(parseDocument(value).errors, []);
  });
});
