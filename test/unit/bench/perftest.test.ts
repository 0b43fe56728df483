/** How `ib_read_bw` is run, with a program of that name that stands in for it: what it prints is tested in read.test.ts. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { runPerftest } from '#src/bench/perftest/run.js';
import type { ReadBenchOptions } from '#src/bench/read/options.js';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/cluster.js';
import { hardware, softRoce, tcp } from './reports.js';

const options: ReadBenchOptions = {
  target: { address: 'h:1' },
  wire: { transport: 'rdma', gidIndex: 3 },
  depth: { outstanding: 4, queuePairs: 2 },
  sizes: [4096, 65_536],
  run: { iterations: 100 },
  loneReads: 0,
  perftest: true,
  signal: new AbortController().signal,
  tell: () => undefined,
};

test('what keeps it from being run is said', async () => {
  const path = process.env['PATH'];
  const reasons = [
    await runPerftest({ ...options, perftest: false }, hardware, true),
    await runPerftest(options, tcp, true),
    await runPerftest(options, hardware, false),
    await runPerftest(options, softRoce, true),
  ];
  process.env['PATH'] = await temporaryFolder();
  reasons.push(await runPerftest(options, hardware, true));
  process.env['PATH'] = path;
  assert.deepEqual(
    reasons.map(({ rows }) => rows),
    [null, null, null, null, null],
  );
  for (const [index, says] of [/not asked for/, /needs RDMA/, /runs elsewhere/, /2 were used/, /is not installed/].entries()) {
    assert.match(reasons[index]?.reason ?? '', says);
  }
});

test('a server and a client run for each size, the client again until the server listens, and the server does not stay', async () => {
  const folder = await temporaryFolder();
  // The client of the first size finds no server twice.
  const program = `#!/bin/sh
case "$*" in
  --version) exit 1;;
  *127.0.0.1) echo "$*" >> ${folder}/clients
    [ "$(wc -l < ${folder}/clients)" -le 2 ] && { echo "Couldn't connect to 127.0.0.1:18915"; exit 1; }
    shift 8
    echo ' #bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]'
    echo " $1 100 2000.00 1000.00 0.1";;
  *) echo $$ >> ${folder}/servers; exec sleep 60;;
esac
`;
  await writeFile(join(folder, 'ib_read_bw'), program);
  await chmod(join(folder, 'ib_read_bw'), 0o755);
  const path = process.env['PATH'];
  process.env['PATH'] = `${folder}${delimiter}${path ?? ''}`;
  const { rows, reason } = await runPerftest(options, hardware, true);
  process.env['PATH'] = path;
  assert.equal(reason, '');
  assert.deepEqual(
    rows?.map(({ bytes, iterations, averageGBps }) => [bytes, iterations, averageGBps]),
    [
      [4096, 100, 1.048576],
      [65_536, 100, 1.048576],
    ],
  );
  assert.equal(rows[0]?.commandLine, 'ib_read_bw -d mlx5_0 -x 3 -F -p 18915 -s 4096 -n 100 -o 4 -q 2 127.0.0.1');
  const servers = (await readFile(join(folder, 'servers'), 'utf8')).trim().split('\n').map(Number);
  assert.equal(servers.length, 2);
  for (const pid of servers) {
    await eventually('the end of the server', () => {
      try {
        process.kill(pid, 0);
        return undefined;
      } catch {
        return true;
      }
    });
  }
});
