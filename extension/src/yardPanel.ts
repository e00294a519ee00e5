import { Time } from '@jupyterlab/coreutils';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { SidePanel } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import { IYardEntry, IYardListing, YardKind } from './tokens';

/** The side panel that lists what exists in this project. */
export class YardPanel extends SidePanel {
  constructor(options: YardPanel.IOptions) {
    super({ content: new Panel(), translator: options.translator });
    this._fetch = options.fetch;
    this._text = options.translator.load('modelyard');

    this.addClass('modelyard-YardPanel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this._text.__('Yard'));
    // one region is enough: without this the content is another, called “side panel content”
    this.content.node.removeAttribute('role');
    this.content.node.removeAttribute('aria-label');

    const title = new Widget();
    title.addClass('modelyard-YardPanel-title');
    title.node.textContent = this._text.__('Yard');
    this.toolbar.addItem('title', title);
    this.toolbar.node.setAttribute('aria-label', this._text.__('Yard tools'));

    this._status = document.createElement('p');
    this._status.className = 'modelyard-Yard-status';
    this._status.setAttribute('role', 'status');
    this._listing = document.createElement('div');

    const body = new Widget();
    body.addClass('modelyard-Yard');
    body.node.tabIndex = 0; // so that the keyboard scrolls it
    body.node.append(this._status, this._listing);
    this.addWidget(body);
  }

  /** Ask the server again; the last answer stays until the new one is there. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    const first = !this._listing.hasChildNodes();
    if (first) {
      this._tell(this._text.__('Looking into the yard…'));
    }
    this.node.setAttribute('aria-busy', 'true');
    try {
      const listing = await this._fetch();
      if (turn === this._turn && !this.isDisposed) {
        this._show(listing);
      }
    } catch (error) {
      if (turn === this._turn && !this.isDisposed) {
        const reason = error instanceof Error ? error.message : String(error);
        this._tell(
          this._text.__('The yard cannot be read: %1', reason),
          'error'
        );
      }
    } finally {
      if (turn === this._turn) {
        this.node.removeAttribute('aria-busy');
      }
    }
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this.refresh();
  }

  private _tell(text: string, state = ''): void {
    this._status.dataset.state = state;
    this._status.textContent = text;
  }

  private _show(listing: IYardListing): void {
    if (listing.schema !== 1) {
      this._tell(
        this._text.__(
          'This panel and its server are of different versions: install both from one modelyard, then reload the page.'
        ),
        'error'
      );
      return;
    }
    this._tell(
      listing.root ? this._text.__('Project: %1', listing.root) : ''
    );
    this._listing.replaceChildren(
      this._section('evaluations', this._text.__('Evaluations'), '%cv', listing),
      this._section('studies', this._text.__('Studies'), '%%tune', listing),
      this._section(
        'compressions',
        this._text.__('Compressions'),
        '%compress',
        listing
      ),
      this._section('bundles', this._text.__('Bundles'), '%package', listing),
      this._section(
        'deployments',
        this._text.__('Deployments'),
        '%deploy',
        listing
      )
    );
  }

  private _section(
    kind: YardKind,
    label: string,
    magic: string,
    listing: IYardListing
  ): HTMLElement {
    const entries = listing[kind];
    const heading = document.createElement('h3');
    heading.id = `modelyard-yard-${kind}`;
    heading.append(label, span('count', String(entries.length)));

    const section = document.createElement('section');
    section.setAttribute('aria-labelledby', heading.id);
    section.append(heading);
    if (entries.length === 0) {
      const hint = document.createElement('p');
      hint.className = 'modelyard-Yard-hint';
      hint.textContent = this._text.__('None yet; %1 makes one.', magic);
      section.append(hint);
    } else {
      const list = document.createElement('ul');
      list.append(...[...entries].reverse().map(item)); // the newest first
      section.append(list);
    }
    return section;
  }

  private readonly _fetch: () => Promise<IYardListing>;
  private readonly _text: TranslationBundle;
  private readonly _status: HTMLElement;
  private readonly _listing: HTMLElement;
  private _turn = 0;
}

export namespace YardPanel {
  export interface IOptions {
    fetch: () => Promise<IYardListing>;
    translator: ITranslator;
  }
}

function span(part: string, text: string): HTMLElement {
  const node = document.createElement('span');
  node.className = `modelyard-Yard-${part}`;
  node.textContent = text;
  return node;
}

function item(entry: IYardEntry): HTMLElement {
  const head = document.createElement('div');
  head.className = 'modelyard-Yard-head';
  const created = document.createElement('time');
  created.className = 'modelyard-Yard-created';
  created.dateTime = entry.created;
  created.title = Time.format(entry.created);
  created.textContent = Time.formatHuman(entry.created, 'narrow');
  head.append(span('name', entry.name), created);

  const node = document.createElement('li');
  node.append(head);
  if (entry.summary) {
    const summary = document.createElement('p');
    summary.className = 'modelyard-Yard-summary';
    summary.textContent = entry.summary;
    node.append(summary);
  }
  return node;
}
