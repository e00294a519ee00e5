import { Time } from '@jupyterlab/coreutils';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import { SidePanel } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import { commandButton, commandsFor } from './actions';
import { element, replaceKeepingFocus } from './dom';
import { healthOf } from './health';
import { kindLabels } from './labels';
import {
  CommandIDs,
  IDeploymentEntry,
  IYardEntry,
  IYardListing,
  IYardModel,
  KINDS,
  YardKind
} from './tokens';

/** The side panel that lists what exists in this project. */
export class YardPanel extends SidePanel {
  constructor(options: YardPanel.IOptions) {
    super({ content: new Panel(), translator: options.translator });
    this._model = options.model;
    this._commands = options.commands;
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

    this._status = element('p', 'Yard-status');
    this._status.setAttribute('role', 'status');
    this._status.textContent = this._text.__('Looking into the yard…');
    this._listing = element('div', 'Yard-listing');

    const body = new Widget();
    body.addClass('modelyard-Yard');
    body.node.tabIndex = 0; // so that the keyboard scrolls it
    body.node.append(this._status, this._listing);
    this.addWidget(body);
    this._model.changed.connect(this._show, this);
    this._show();
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this._model.refresh();
  }

  private _show(): void {
    const { listing, problem } = this._model;
    if (listing === null && !problem) {
      return;
    }
    this._status.dataset.state = problem ? 'error' : '';
    const project = listing?.root
      ? this._text.__('Project: %1', listing.root)
      : '';
    this._status.textContent = problem || project;
    if (listing !== null) {
      replaceKeepingFocus(
        this._listing,
        KINDS.map(kind => this._section(kind, listing))
      );
    }
  }

  private _section(kind: YardKind, listing: IYardListing): HTMLElement {
    const { many, magic } = kindLabels(this._text)[kind];
    const count = listing.counts[kind];
    const heading = element(
      'h3',
      '',
      many,
      element('span', 'Yard-count', String(count))
    );
    heading.id = `modelyard-yard-${kind}`;

    const section = element('section', '', heading);
    section.setAttribute('aria-labelledby', heading.id);
    const entries = listing[kind];
    if (entries.length === 0) {
      const hint = this._text.__('None yet; %1 makes one.', magic);
      section.append(element('p', 'Yard-hint', hint));
      return section;
    }
    const newestFirst = [...entries].reverse();
    section.append(
      element('ul', '', ...newestFirst.map(entry => this._item(kind, entry)))
    );
    if (count > entries.length) {
      const hidden = this._text.__(
        'The newest %1; %2 more.',
        entries.length,
        count - entries.length
      );
      section.append(element('p', 'Yard-hint', hidden));
    }
    return section;
  }

  private _item(kind: YardKind, entry: IYardEntry): HTMLElement {
    const name = element('button', 'Yard-name', entry.name);
    name.type = 'button';
    name.dataset.key = `${kind}/${entry.name}`;
    name.title = this._text.__('Open %1', entry.name);
    name.addEventListener(
      'click',
      () =>
        void this._commands.execute(CommandIDs.openEntry, {
          kind,
          name: entry.name
        })
    );
    const created = element(
      'time',
      'Yard-created',
      Time.formatHuman(entry.created, 'narrow')
    );
    created.dateTime = entry.created;
    created.title = Time.format(entry.created);

    const node = element('li', '', element('div', 'Yard-head', name, created));
    const said = element('div', 'Yard-said');
    if (kind === 'deployments') {
      said.append(healthOf(entry as IDeploymentEntry, this._text));
    }
    if (entry.summary) {
      said.append(element('span', 'Yard-summary', entry.summary));
    }
    for (const remark of this._remarks(entry)) {
      said.append(element('span', 'Yard-remark', remark));
    }
    const buttons = commandsFor(kind, entry).map(id =>
      commandButton(this._commands, id, kind, entry.name)
    );
    const actions = element('div', 'Actions', ...buttons);
    actions.setAttribute('role', 'group');
    actions.setAttribute(
      'aria-label',
      this._text.__('Actions for %1', entry.name)
    );
    node.append(said, actions);
    return node;
  }

  private _remarks(entry: IYardEntry): string[] {
    const found: string[] = [];
    if (entry.state === 'running') {
      found.push(this._text.__('running'));
    }
    if (entry.gone) {
      found.push(this._text.__('gone from the store'));
    }
    return found;
  }

  private readonly _model: IYardModel;
  private readonly _commands: CommandRegistry;
  private readonly _text: TranslationBundle;
  private readonly _status: HTMLElement;
  private readonly _listing: HTMLElement;
}

export namespace YardPanel {
  export interface IOptions {
    model: IYardModel;
    commands: CommandRegistry;
    translator: ITranslator;
  }
}
