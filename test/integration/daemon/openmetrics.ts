/** A strict reader of OpenMetrics' text, as far as this server uses it. */
import assert from 'node:assert/strict';

export interface Metrics {
  /** Of `name{label="value",…}` as printed, labels sorted. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number | undefined;
  /** Type of each family. */
  readonly types: ReadonlyMap<string, string>;
  /** Names of all samples with their labels. */
  readonly samples: readonly string[];
}

/** What may stand behind the family's name in the names of its samples. */
const suffixes: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  counter: ['_total'],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Fails the test for whatever a strict scraper would refuse. */
export function parseMetrics(text: string): Metrics {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'the text ends with a line end');
  assert.equal(lines.pop(), '# EOF');
  const types = new Map<string, string>();
  const values = new Map<string, number>();
  let family = '';
  for (const line of lines) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      assert.ok(!types.has(name), `${name} is described twice`);
      assert.ok(rest.endsWith('.') || !name.startsWith('weightcast'), `"${rest}" is no sentence`);
      family = name;
    } else if (keyword === 'TYPE') {
      assert.equal(name, family);
      assert.ok(rest in suffixes, line);
      types.set(name, rest);
    } else {
      const [, sample = '', labels = '', value = ''] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const type = types.get(family) ?? '';
      assert.ok(
        suffixes[type]?.some((suffix) => sample === family + suffix),
        `${line}: not of the family ${family}`,
      );
      const key = keyOf(sample, Object.fromEntries(labelsOf(labels)));
      assert.ok(!values.has(key), `${key} is there twice`);
      assert.match(value, /^(nan|[+-]?(inf|[\d.]+(e[+-]?\d+)?))$/i, line);
      values.set(key, Number(value.replace('Inf', 'Infinity')));
    }
  }
  return { types, samples: [...values.keys()], value: (name, labels = {}) => values.get(keyOf(name, labels)) };
}

function labelsOf(text: string): [string, string][] {
  const pairs = [...text.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/g)];
  assert.equal(pairs.map(([all]) => all).join(''), text, 'labels are well-formed');
  return pairs.map(([, name = '', value = '']) => [name, value]);
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${sorted.map(([label, value]) => `${label}=${value}`).join(',')}}`;
}
