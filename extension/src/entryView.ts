import { Time } from '@jupyterlab/coreutils';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { commandButton, commandsFor } from './actions';
import { element, reasonOf, replaceKeepingFocus } from './dom';
import { healthOf } from './health';
import { kindLabels } from './labels';
import { MetricsView } from './metricsView';
import { sheetOf } from './sheet';
import { IDetail, IYardModel, YardKind } from './tokens';

/** One thing of the yard, in the main area. */
export class EntryView extends Widget {
  constructor(options: EntryView.IOptions) {
    super();
    this.kind = options.kind;
    this.entryName = options.name;
    this._model = options.model;
    this._commands = options.commands;
    this._trans = options.translator.load('modelyard');
    this.addClass('modelyard-Sheet');
    this.node.tabIndex = 0; // so that the keyboard scrolls it
    this._body = element('div', 'Sheet-body');
    this._metrics = new MetricsView(
      () => this._model.metrics(this.entryName),
      this._trans
    );
    this.node.append(this._body);
    this._model.changed.connect(this._look, this);
    void this._look();
  }

  readonly kind: YardKind;
  readonly entryName: string;

  dispose(): void {
    this._metrics.stop();
    super.dispose();
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // here: what holds it in the main area names it otherwise
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this._heading());
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    void this._look();
  }

  protected onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this._metrics.stop();
  }

  private _heading(): string {
    const { one } = kindLabels(this._trans)[this.kind];
    return this._trans.__('%1 %2', one, this.entryName);
  }

  private async _look(): Promise<void> {
    const turn = ++this._turn;
    let nodes: Node[];
    let counts = false;
    try {
      const detail = await this._model.detail(this.kind, this.entryName);
      counts =
        detail.deployment?.health === 'ready' &&
        detail.deployment.url.startsWith('http://127.0.0.1:');
      nodes = this._shown(detail, counts);
    } catch (error) {
      nodes = [
        element('h2', '', this._heading()),
        element('p', 'Sheet-warning', reasonOf(error))
      ];
    }
    if (turn !== this._turn || this.isDisposed) {
      return;
    }
    replaceKeepingFocus(this._body, nodes);
    if (counts && this.isVisible) {
      this._metrics.start();
    } else {
      this._metrics.stop();
    }
  }

  private _shown(detail: IDetail, counts: boolean): Node[] {
    const trans = this._trans;
    const created = element('time', '', Time.format(detail.created));
    created.dateTime = detail.created;
    const entry = { ...detail, ...(detail.deployment ?? {}) };
    const buttons = commandsFor(this.kind, entry).map(id =>
      commandButton(this._commands, id, this.kind, detail.name, true)
    );
    const actions = element('div', 'Sheet-actions', ...buttons);
    actions.setAttribute('role', 'group');
    actions.setAttribute('aria-label', trans.__('Actions'));
    const subtitle = element('p', 'Sheet-subtitle');
    if (detail.deployment) {
      subtitle.append(healthOf(detail.deployment, trans));
    }
    subtitle.append(
      element('span', '', `${kindLabels(trans)[this.kind].one}, `, created)
    );
    if (detail.notebook) {
      subtitle.append(element('span', 'Sheet-notebook', detail.notebook));
    }
    const call = element('code', 'Sheet-call', detail.calls.python);
    return [
      element('h2', '', detail.name),
      subtitle,
      call,
      actions,
      ...(counts ? [this._metrics.node] : []),
      ...sheetOf(detail, trans)
    ];
  }

  private readonly _model: IYardModel;
  private readonly _commands: CommandRegistry;
  private readonly _trans: TranslationBundle;
  private readonly _body: HTMLElement;
  private readonly _metrics: MetricsView;
  private _turn = 0;
}

export namespace EntryView {
  export interface IOptions {
    kind: YardKind;
    name: string;
    model: IYardModel;
    commands: CommandRegistry;
    translator: ITranslator;
  }
}
