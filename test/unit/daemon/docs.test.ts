import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { usualFiles } from '#src/daemon/config/file.js';
import { defaultsFor } from '#src/daemon/config/defaults.js';
import { flagName, ownVariable, settingKeys, settingOf } from '#src/daemon/config/settings.js';
import { parseMetrics } from '../../integration/daemon/openmetrics.js';
import { ServerMetrics } from '#src/daemon/metrics/server-metrics.js';

const page = readFileSync(new URL('../../../../docs/metadata-server.md', import.meta.url), 'utf8');

describe('docs/metadata-server.md', () => {
  it('has every setting with its flag, variables, default and meaning', () => {
    const [, table = ''] = /<!-- settings -->\n([^]*?)\n<!-- \/settings -->/.exec(page) ?? [];
    const expected = settingKeys.map((key) => {
      const { flag, env = [], default: usual, help } = settingOf(key);
      const names = [ownVariable(key), ...env].map((name) => `\`${name}\``).join(', ');
      return `| \`${key}\` | ${flag === undefined ? '' : `\`${flagName(flag)}\``} | ${names} | ${usual} | ${help} |`;
    });
    assert.deepEqual(table.split('\n').slice(2), expected);
  });

  it('names the files that are looked for', () => {
    for (const file of usualFiles) assert.ok(page.includes(`\`${file}\``), file);
  });

  it('has every metric of ours, and no other', async () => {
    const metrics = await ServerMetrics.create({ version: '0', backend: 'memory', scheme: '' });
    const { types } = parseMetrics(await metrics.text());
    const families = [...types]
      .map(([name, type]) => (type === 'counter' ? `${name}_total` : name))
      .filter((name) => /^(mx|weightcast)_/.test(name));
    const rows = [...page.matchAll(/^\| `((?:mx|weightcast)_\w+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(rows.sort(), families.sort());
  });
});

describe('the default that a setting tells', () => {
  const defaults = defaultsFor({});
  const units: Readonly<Record<string, number>> = { MiB: 2 ** 20 };

  for (const key of settingKeys) {
    const [said = ''] = settingOf(key).default.split(/[,;]/);
    it(`is the one that is taken: ${key}`, () => {
      const { value } = defaults[key];
      const [, digits, unit = ''] = /^(\d+)(MiB)?$/.exec(said) ?? [];
      if (typeof value === 'number') {
        const expected = digits === undefined ? undefined : Number(digits) * (units[unit] ?? 1);
        // Two depend on others.
        if (said.startsWith('twice')) assert.equal(value, 2 * defaults['limits.requests_per_second'].value);
        else assert.equal(key.endsWith('_secs') ? value / 1000 : value, expected);
      } else if (typeof value === 'boolean') assert.equal(said, value ? 'on' : 'off');
      else if (said === 'server.host') assert.equal(value, defaults['server.host'].value);
      else assert.equal(said, value === undefined ? said.replace(/^(?!none).*/, 'none') : value === '' ? 'empty' : value);
    });
  }
});
