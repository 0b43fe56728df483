import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cut, escapeHtml, html, join } from '#src/daemon/page/html.js';

test('values are escaped, markup is kept', () => {
  const name = `<script>alert("1")</script> & 'more'`;
  assert.equal(
    html`<p title="${name}">${html`<b>${name}</b>`}</p>`.text,
    '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;"><b>&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;more&#39;</b></p>',
  );
});

test('lists of markup are joined, numbers are written', () => {
  assert.equal(html`<p>${[1, 2].map((number) => html`<b>${number}</b>`)}</p>`.text, '<p><b>1</b><b>2</b></p>');
  assert.equal(join([html`a`, html`b`]).text, 'ab');
});

test('the indentation of the source is not sent', () => {
  const text = html`<dl>
    <dt>indented</dt>
  </dl>`.text;
  assert.equal(text, '<dl>\n<dt>indented</dt>\n</dl>');
});

test('what looks like markup in an attribute cannot leave it', () => {
  const text = html`<td data-key="${'"><img src=x onerror=alert(1)>'}"></td>`.text;
  assert.equal(text.match(/"/g)?.length, 2);
  assert.equal(text.match(/</g)?.length, 2);
});

test('control characters and those that turn text around are made visible', () => {
  assert.equal(escapeHtml('a\u0000b\u001b[31mc\u202Ed\u2066e\u009f'), 'a\ufffdb\ufffd[31mc\ufffdd\ufffde\ufffd');
  assert.equal(escapeHtml('Grüße 模型 🙂'), 'Grüße 模型 🙂');
});

test('long text is cut', () => {
  assert.equal(cut('abcdef', 6), 'abcdef');
  assert.equal(cut('abcdefg', 6), 'abcde…');
});
