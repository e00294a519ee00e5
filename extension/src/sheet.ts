import { Time } from '@jupyterlab/coreutils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { element } from './dom';
import { keyLabels } from './labels';
import type { Cell, ISheet, ITable } from './tokens';

/** Return facts, tables and texts, as a page shows them. */
export function sheetOf(sheet: ISheet, trans: TranslationBundle): Node[] {
  const words = keyLabels(trans);
  const wordsOf = (key: string) => words[key] ?? key;
  const found: Node[] = [];
  const facts = Object.entries(sheet.facts);
  if (facts.length > 0) {
    found.push(
      element(
        'dl',
        'Sheet-facts',
        ...facts.flatMap(([key, value]) => [
          element('dt', '', wordsOf(key)),
          element('dd', '', cellText(value, trans))
        ])
      )
    );
  }
  for (const { key, text } of sheet.texts) {
    found.push(...textOf(key, text, wordsOf, trans));
  }
  found.push(...sheet.tables.map(table => tableOf(table, wordsOf, trans)));
  return found;
}

function textOf(
  key: string,
  text: string,
  wordsOf: (key: string) => string,
  trans: TranslationBundle
): Node[] {
  if (key === 'gone') {
    const said = trans.__(
      'This bundle is gone from the store: package the model again to have it back.'
    );
    return [element('p', 'Sheet-warning', said)];
  }
  if (key === 'too-large') {
    const said = trans.__('Larger than %1 bytes: it is not read here.', text);
    return [element('p', 'Sheet-warning', said)];
  }
  if (key === 'findings') {
    return [element('p', 'Sheet-warning', text)];
  }
  const heading = element('h3', '', wordsOf(key));
  const body = element('pre', 'Sheet-text', text);
  body.tabIndex = 0; // so that the keyboard scrolls it
  body.setAttribute('role', 'group');
  body.setAttribute('aria-label', wordsOf(key));
  return [heading, body];
}

/** Return a table that scrolls by itself where it is wider than the page. */
export function tableOf(
  table: ITable,
  wordsOf: (key: string) => string,
  trans: TranslationBundle
): HTMLElement {
  const head = element(
    'tr',
    '',
    ...table.columns.map(column => {
      const cell = element('th', '', wordsOf(column));
      cell.scope = 'col';
      return cell;
    })
  );
  const rows = table.rows.map(row =>
    element(
      'tr',
      '',
      ...row.map((value, index) => {
        const text = columnText(table.columns[index], value, trans);
        const cell = element('td', '', text);
        if (typeof value === 'number') {
          cell.classList.add('modelyard-number');
        }
        return cell;
      })
    )
  );
  const name = wordsOf(table.key);
  const scroll = element(
    'div',
    'Sheet-scroll',
    element(
      'table',
      'Sheet-table',
      element('caption', '', name),
      element('thead', '', head),
      element('tbody', '', ...rows)
    )
  );
  scroll.tabIndex = 0; // so that the keyboard scrolls it
  scroll.setAttribute('role', 'group');
  scroll.setAttribute('aria-label', name);
  if (table.more === 0) {
    return scroll;
  }
  const more = trans.__('%1 more are not shown.', table.more);
  return element('div', '', scroll, element('p', 'Sheet-more', more));
}

function columnText(
  column: string,
  value: Cell,
  trans: TranslationBundle
): string {
  if (column === 'share' && typeof value === 'number') {
    return `${Math.round(1000 * value) / 10} %`;
  }
  if (column === 'at' && typeof value === 'string') {
    return Time.format(value);
  }
  return cellText(value, trans);
}

function cellText(value: Cell, trans: TranslationBundle): string {
  if (value === null) {
    return '–';
  }
  if (typeof value === 'boolean') {
    return value ? trans.__('yes') : trans.__('no');
  }
  if (typeof value === 'number') {
    return Number.isInteger(value)
      ? value.toLocaleString()
      : String(Number(value.toPrecision(4)));
  }
  return value;
}
