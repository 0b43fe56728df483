/** What screen readers rely on. */

/** What is missing or wrong, in words. */
export function structureFaults(): string[] {
  const found: string[] = [];
  const expect = (holds: boolean, fault: string): void => {
    if (!holds) found.push(fault);
  };
  const count = (selector: string, within: ParentNode = document): number => within.querySelectorAll(selector).length;
  const textOf = (element: Element | null): string => (element?.textContent ?? '').trim();

  expect(document.documentElement.lang === 'en', 'no language');
  expect(document.title !== '', 'no title');
  expect(count('h1') === 1, 'not one h1');
  expect(count('main') === 1, 'not one main');
  for (const table of document.querySelectorAll('table')) {
    const caption = textOf(table.querySelector('caption'));
    const columns = count('thead th', table);
    expect(caption !== '', 'a table without a caption');
    expect(columns > 0 && columns === count('thead th[scope=col]', table), `${caption}: a column head without scope`);
    for (const row of table.querySelectorAll('tbody tr:not(.empty)')) {
      expect(count('th[scope=row]', row) === 1, `${caption}: a row without a head`);
      expect(row.children.length === columns, `${caption}: a row of another length`);
    }
  }
  for (const input of document.querySelectorAll('input')) expect((input.labels?.length ?? 0) > 0, 'an input without a label');
  for (const bar of document.querySelectorAll('meter, progress')) expect(bar.hasAttribute('aria-label'), 'a bar without a label');
  for (const link of document.querySelectorAll('a')) expect(textOf(link) !== '', 'a link without a text');
  for (const shape of document.querySelectorAll('.shape')) {
    expect(shape.getAttribute('aria-hidden') === 'true', 'a shape that is read out');
    expect(textOf(shape.parentElement) !== '', 'a status without a word');
  }
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  expect(new Set(ids).size === ids.length, 'an id that is there twice');
  return found;
}
