import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runHere, memoryIo } from './memory-io.js';

const commands = ['serve', 'seed', 'pull', 'sources', 'health', 'doctor', 'demo'];

interface Case {
  readonly argv: string;
  readonly says: RegExp;
  readonly command?: string;
}

/** Bad command lines; none of them may get as far as using the network or a file. */
const bad: readonly Case[] = [
  { argv: '', says: /no command given/ },
  { argv: 'pulll', says: /unknown command 'pulll' \(Did you mean pull\?\)/ },
  { argv: 'pull --bogus', says: /unknown option '--bogus'/, command: 'pull' },
  { argv: 'pull --discard', says: /--model-name is required/, command: 'pull' },
  { argv: 'pull --model-name m --discard', says: /no metadata server: give --server host:port/, command: 'pull' },
  {
    argv: 'pull --server s:1 --model-name m',
    says: /--out DIR, --shm NAME, --map, --device cuda:0, --into-cuda-ipc SOCKET or --discard/,
    command: 'pull',
  },
  { argv: 'pull --server s:1 --model-name m --out d --discard', says: /cannot be used with/, command: 'pull' },
  { argv: 'pull --server s:1 --model-name m --out d --shm n', says: /cannot be used with/, command: 'pull' },
  { argv: 'pull --server s:1 --model-name m --shm n --discard', says: /cannot be used with/, command: 'pull' },
  { argv: 'pull --device cuda', says: /say where the weights go/, command: 'pull' },
  { argv: 'pull --device cuda:x', says: /Expected an accelerator as cuda:0 \(NVIDIA\) or hip:0 \(AMD\)/, command: 'pull' },
  { argv: 'pull --device cuda:0,cuda:1', says: /Expected at most one accelerator/, command: 'pull' },
  { argv: 'pull --device-path dmabuf', says: /Expected a way: auto, dma-buf, peer-memory, staging/, command: 'pull' },
  {
    argv: 'pull --server s:1 --model-name m --device cuda:0 --out d',
    says: /accelerator \(--device cuda:0\) or to --out/,
    command: 'pull',
  },
  { argv: 'pull --server s:1 --model-name m --device a,hip:0 --map', says: /not to both/, command: 'pull' },
  {
    argv: 'pull --server s:1 --model-name m --discard --device-path staging',
    says: /devicePath "staging" is for an accelerator's memory/,
    command: 'pull',
  },
  {
    argv: 'pull --server s:1 --model-name m --device cuda:0 --transport tcp --device-path dma-buf',
    says: /devicePath "dma-buf" needs RDMA, and transport "tcp" was asked for/,
    command: 'pull',
  },
  {
    argv: 'seed model --server s:1 --model-name m --device cuda:0 --transport tcp --device-path peer-memory',
    says: /devicePath "peer-memory" needs RDMA/,
    command: 'seed',
  },
  { argv: 'mirror --server s:1 --model-name m --device cuda:0', says: /Expected RDMA device names/, command: 'mirror' },
  { argv: 'pull --tp 0', says: /'--tp <n>' argument '0' is invalid\. Expected a tensor parallel size, an integer from 1/, command: 'pull' },
  { argv: 'pull --rank -1', says: /--rank/, command: 'pull' },
  { argv: 'pull --framework tgi', says: /Expected a framework: sglang, vllm, trt_llm\./, command: 'pull' },
  { argv: 'pull --transport udp', says: /Expected a transport: auto, rdma, tcp, local\./, command: 'pull' },
  { argv: 'pull --slice-bytes 1', says: /Expected a slice in bytes from 4096/, command: 'pull' },
  { argv: 'pull --server https://x', says: /Expected the metadata server as host:port/, command: 'pull' },
  { argv: 'sources --server s:1 --tls-cert c', says: /--tls-cert and --tls-key belong together/, command: 'sources' },
  { argv: 'sources --server s:1 --token-file', says: /argument missing/, command: 'sources' },
  { argv: 'pull --selector fastest', says: /Expected a selector: random, rendezvous_hash, load_aware, topology_aware\./, command: 'pull' },
  { argv: 'pull --max-sources 0', says: /Expected a number of sources, an integer from 1/, command: 'pull' },
  { argv: 'pull --transfer-timeout 0', says: /Expected a time in seconds/, command: 'pull' },
  { argv: 'pull --from-sglang h:30000 --discard', says: /Expected the URL of an SGLang server/, command: 'pull' },
  {
    argv: 'pull --from-sglang http://h:1',
    says: /--out DIR, --shm NAME, --map, --device cuda:0, --into-cuda-ipc SOCKET or --discard/,
    command: 'pull',
  },
  { argv: 'pull --from-sglang http://h:1 --discard --server s:1', says: /cannot be used with option '--server <url>'/, command: 'pull' },
  { argv: 'pull --from-sglang http://h:1 --discard --tp 2', says: /cannot be used with option '--tp <n>'/, command: 'pull' },
  { argv: 'pull --from-sglang http://h:1 --discard --selector random', says: /cannot be used with/, command: 'pull' },
  { argv: 'pull --from-sglang http://h:1 --discard --no-report', says: /cannot be used with/, command: 'pull' },
  { argv: 'pull --like', says: /argument missing/, command: 'pull' },
  { argv: 'pull extra', says: /too many arguments/, command: 'pull' },
  { argv: 'pull --quiet --verbose', says: /cannot be used with/, command: 'pull' },
  { argv: 'seed', says: /say what to offer: a directory or file with safetensors, or --cuda-ipc SOCKET/, command: 'seed' },
  { argv: 'seed model', says: /no metadata server/, command: 'seed' },
  { argv: 'seed model --server s:1 --gid-index 256', says: /GID index/, command: 'seed' },
  { argv: 'seed model --server s:1 --device a,a', says: /every RDMA device once/, command: 'seed' },
  { argv: 'seed model --server s:1 --host 1.2.3.4:5', says: /without a port/, command: 'seed' },
  { argv: 'seed model --server s:1 --heartbeat-interval 0', says: /in seconds, 0.1 or more/, command: 'seed' },
  { argv: 'seed model --sglang-port 70000', says: /Expected a port, an integer from 0/, command: 'seed' },
  { argv: 'seed model --sglang-register head:30000', says: /Expected the URL of SGLang's bootstrap server/, command: 'seed' },
  { argv: 'seed model --sglang-host 10.0.0.1 --server s:1', says: /need --sglang-port/, command: 'seed' },
  { argv: 'serve --listen 8001', says: /host:port/, command: 'serve' },
  { argv: 'sources --server s:1 --tp 8', says: /need --model-name/, command: 'sources' },
  { argv: 'demo --bytes 1', says: /Expected a size/, command: 'demo' },
  { argv: 'demo --bytes 1MB --model d', says: /cannot be used with/, command: 'demo' },
  { argv: 'bench', says: /no command given/, command: 'bench' },
  { argv: 'bench write', says: /unknown command 'write'/, command: 'bench' },
  { argv: 'bench read --size 0', says: /Expected a size in bytes from 1/, command: 'bench' },
  { argv: 'bench read --size 4096 --all', says: /cannot be used with/, command: 'bench' },
  { argv: 'bench read -q 0', says: /number of queue pairs, an integer from 1/, command: 'bench' },
  { argv: 'bench read --transport tcp -o 4', says: /--outs is for RDMA: a TCP connection has one read outstanding/, command: 'bench read' },
  { argv: 'bench read --transport tcp --rails 2', says: /--rails and --device say nothing over tcp/, command: 'bench read' },
  { argv: 'bench read --rails 2 --device a', says: /cannot be used with/, command: 'bench' },
  { argv: 'bench read --serve --connect h:1', says: /cannot be used with/, command: 'bench' },
  { argv: 'bench read --listen h:1', says: /--listen belongs to --serve/, command: 'bench read' },
  { argv: 'bench read --connect h:1 --buffer 1MiB', says: /cannot be used with/, command: 'bench' },
  { argv: 'bench read --tolerance 101', says: /Expected a tolerance in percent, from 0 to 100/, command: 'bench' },
  { argv: 'bench model --shapes gpt', says: /Expected a set of shapes: qwen2\.5-7b, /, command: 'bench' },
  { argv: 'bench model --scale 0.5', says: /Expected a scale, a number from 1/, command: 'bench' },
  { argv: 'bench fanout --targets 0', says: /Expected a number of targets, an integer from 1/, command: 'bench' },
  { argv: 'bench metadata --only read', says: /Expected benchmarks, separated by commas: publish, /, command: 'bench' },
  { argv: 'bench metadata --connections 1,x', says: /numbers of connections, an integer from 1 to 10000/, command: 'bench' },
  { argv: 'bench metadata --metrics m', says: /Expected the URL of the metrics/, command: 'bench' },
  { argv: 'bench metadata --token-file t', says: /are for a server that runs: give --server/, command: 'bench metadata' },
  { argv: 'bench metadata --server s:1 --store redis', says: /cannot be used with/, command: 'bench' },
  { argv: 'doctor --tp 1', says: /unknown option/, command: 'doctor' },
];

describe('a bad command line', () => {
  for (const { argv, says, command } of bad) {
    it(`"weightcast ${argv}" is exit code 2 and a sentence`, async () => {
      const { code, stdout, stderr } = await runHere(argv === '' ? [] : argv.split(' '));
      assert.equal(code, 2);
      assert.equal(stdout, '');
      const line = stderr.split('\n').find((text) => text.includes('ERR_INVALID_ARGUMENT'));
      assert.ok(line !== undefined, stderr);
      assert.ok(line.startsWith(command === undefined ? 'weightcast: ERR' : `weightcast ${command}: ERR`), stderr);
      assert.match(line, says);
    });
  }

  it('is JSON on stdout too with --json, one line', async () => {
    const { code, stdout, stderr } = await runHere(['pull', '--tp', 'x', '--json']);
    assert.equal(code, 2);
    assert.match(stderr, /^weightcast pull: ERR_INVALID_ARGUMENT: /);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    assert.equal(error.code, 'ERR_INVALID_ARGUMENT');
    assert.match(error.message, /--tp/);
    assert.equal(stdout.indexOf('\n'), stdout.length - 1);
  });

  it('takes the server from the environment, flag first, and refuses nonsense there', async () => {
    for (const name of ['MODEL_EXPRESS_URL', 'MX_SERVER_ADDRESS']) {
      const argv = ['pull', '--model-name', 'm', '--discard'];
      const { code, stderr } = await runHere(argv, memoryIo({ env: { [name]: 'nonsense' } }));
      assert.equal(code, 2);
      assert.match(stderr, new RegExp(`${name} is "nonsense": Expected the metadata server as host:port`));
    }
  });
});

describe('help and version', () => {
  it('are data on stdout and exit code 0', async () => {
    const help = await runHere(['--help']);
    assert.equal(help.code, 0);
    assert.equal(help.stderr, '');
    for (const command of commands) assert.match(help.stdout, new RegExp(`^  ${command} `, 'm'));
    const version = await runHere(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\S*\n$/);
  });

  for (const command of commands) {
    it(`of ${command} has --json, --quiet and --verbose`, async () => {
      const { code, stdout } = await runHere([command, '--help']);
      assert.equal(code, 0);
      for (const flag of ['--json', '--quiet', '--verbose']) assert.ok(stdout.includes(flag), flag);
    });
  }

  it('loads neither gRPC nor pino nor the addon', async () => {
    const { runCli } = await import('../../support/cli.js');
    const { code, stderr } = await runCli(['pull', '--help'], { env: { NODE_DEBUG: 'esm,module' } });
    assert.equal(code, 0);
    for (const unwanted of ['grpc-js', 'pino', 'bufbuild', 'native-loader'])
      assert.ok(!stderr.includes(unwanted), `${unwanted} was loaded`);
    assert.ok(stderr.includes('commander'), 'the test must see what is loaded');
  });
});
