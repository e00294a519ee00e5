import type { TranslationBundle } from '@jupyterlab/translation';

import { element, reasonOf } from './dom';
import { tableOf } from './sheet';
import type { Cell, IFigures, IMetrics } from './tokens';

const EVERY_MS = 2000;

/** What an endpoint of this machine counts, live for as long as it is looked at. */
export class MetricsView {
  constructor(
    fetch: () => Promise<IMetrics>,
    private readonly _trans: TranslationBundle
  ) {
    this._fetch = fetch;
    this.node = element('section', 'Metrics');
    this.node.setAttribute('aria-label', this._trans.__('Traffic now'));
  }

  readonly node: HTMLElement;

  /** Look every two seconds. */
  start(): void {
    if (this._timer === null) {
      this._timer = window.setInterval(() => void this._look(), EVERY_MS);
      void this._look();
    }
  }

  stop(): void {
    if (this._timer !== null) {
      window.clearInterval(this._timer);
      this._timer = null;
    }
  }

  private async _look(): Promise<void> {
    if (this._asking) {
      return;
    }
    this._asking = true;
    try {
      const found = await this._fetch();
      this._show(found);
    } catch (error) {
      this.node.replaceChildren(
        element('h3', '', this._trans.__('Traffic now')),
        element('p', 'Sheet-hint', reasonOf(error))
      );
    } finally {
      this._asking = false;
    }
  }

  private _show(metrics: IMetrics): void {
    const trans = this._trans;
    const { total } = metrics;
    const window_ = Math.round(metrics.window_s);
    const numbers = element(
      'div',
      'Metrics-numbers',
      this._number(trans.__('requests/s'), total.requests_per_s),
      this._number(trans.__('p50, ms'), total.p50_ms),
      this._number(trans.__('p95, ms'), total.p95_ms),
      this._number(trans.__('errors/s'), total.errors_per_s)
    );
    const nodes: Node[] = [
      element('h3', '', trans.__('Traffic now')),
      numbers,
      element(
        'p',
        'Sheet-hint',
        trans.__('Over the last %1 s; latencies without the network.', window_)
      )
    ];
    const variants = Object.entries(metrics.variants);
    const rows = variants.map(([name, figures]) => rowOf(name, figures));
    const columns = {
      variant: trans.__('Variant'),
      rate: trans.__('Requests/s'),
      p50: trans.__('p50, ms'),
      p95: trans.__('p95, ms'),
      error_rate: trans.__('Errors/s'),
      requests: trans.__('Requests'),
      refused: trans.__('Refused'),
      errors: trans.__('Errors')
    };
    const table = {
      key: trans.__('By variant, and counts since the beginning'),
      columns: Object.values(columns),
      rows,
      more: 0
    };
    nodes.push(tableOf(table, key => key, trans));
    const flagged = Object.entries(total.flagged);
    if (flagged.length > 0) {
      const outside = {
        key: trans.__('Outside of what training saw'),
        columns: [trans.__('Column'), trans.__('Values'), trans.__('Of rows')],
        rows: flagged.map(([column, count]): Cell[] => [
          column,
          count,
          total.rows ? `${Math.round((1000 * count) / total.rows) / 10} %` : '–'
        ]),
        more: 0
      };
      nodes.push(tableOf(outside, key => key, trans));
    }
    // scrolled, a table has the focus: it stays where it was
    const focused = [...this.node.querySelectorAll('[tabindex]')].indexOf(
      document.activeElement as Element
    );
    this.node.replaceChildren(...nodes);
    this.node
      .querySelectorAll<HTMLElement>('[tabindex]')
      [focused]?.focus({ preventScroll: true });
  }

  private _number(label: string, value: number | null): HTMLElement {
    return element(
      'div',
      'Metrics-number',
      element('span', 'Metrics-value', value === null ? '–' : String(value)),
      element('span', 'Metrics-label', label)
    );
  }

  private readonly _fetch: () => Promise<IMetrics>;
  private _timer: number | null = null;
  private _asking = false;
}

function rowOf(name: string, figures: IFigures): Cell[] {
  return [
    name,
    figures.requests_per_s,
    figures.p50_ms,
    figures.p95_ms,
    figures.errors_per_s,
    figures.requests,
    figures.refused,
    figures.errors
  ];
}
