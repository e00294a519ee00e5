import { ServerConnection } from '@jupyterlab/services';
import type { Event } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Poll } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { reasonOf } from './dom';
import { requestAPI } from './request';
import {
  Act,
  ICard,
  IDetail,
  IDone,
  IMetrics,
  INotice,
  IYardListing,
  IYardModel,
  IYardSettings,
  SCHEMA,
  YardKind
} from './tokens';

const EVENTS = 'urn:modelyard:yard';

const DEFAULTS: IYardSettings = {
  refreshSeconds: 10,
  notifications: true,
  statusBar: true
};

/** What exists in the project: asked for when the server says that it has changed, and now and then in any case. */
export class YardModel implements IYardModel {
  constructor(options: YardModel.IOptions) {
    this._serverSettings = options.serverSettings;
    this._trans = options.trans;
    options.events.connect(this._onEvent, this);
    this._poll = new Poll({
      auto: false,
      factory: () => this._look(),
      frequency: { interval: 1000 * DEFAULTS.refreshSeconds, backoff: false },
      standby: 'when-hidden',
      name: 'modelyard:yard'
    });
    void this._poll.start();
  }

  get listing(): IYardListing | null {
    return this._listing;
  }

  get problem(): string {
    return this._problem;
  }

  get settings(): IYardSettings {
    return this._settings;
  }

  set settings(settings: IYardSettings) {
    const before = this._settings.refreshSeconds;
    this._settings = settings;
    if (settings.refreshSeconds !== before) {
      this._poll.frequency = {
        ...this._poll.frequency,
        interval: 1000 * settings.refreshSeconds
      };
      void this._poll.refresh(); // else what waits already would wait as long as before
    }
    this._changed.emit();
  }

  get changed(): ISignal<IYardModel, void> {
    return this._changed;
  }

  get noticed(): ISignal<IYardModel, INotice> {
    return this._noticed;
  }

  refresh(): Promise<void> {
    return this._look();
  }

  detail(kind: YardKind, name: string): Promise<IDetail> {
    return this._ask(`yard/${kind}/${encodeURIComponent(name)}`);
  }

  metrics(name: string): Promise<IMetrics> {
    return this._ask(`deployments/${encodeURIComponent(name)}/metrics`);
  }

  card(path: string): Promise<ICard> {
    return this._ask(`card?path=${encodeURIComponent(path)}`);
  }

  async bundlesIn(folder: string): Promise<readonly string[]> {
    const found = await this._ask<{ readonly names: readonly string[] }>(
      `bundles?folder=${encodeURIComponent(folder)}`
    );
    return found.names;
  }

  async act(name: string, act: Act): Promise<IDone> {
    try {
      return await this._ask<IDone>(
        `deployments/${encodeURIComponent(name)}/${act}`,
        { method: 'POST' }
      );
    } finally {
      void this.refresh();
    }
  }

  private async _ask<T>(endPoint: string, init: RequestInit = {}): Promise<T> {
    const found = await requestAPI<T & { readonly schema: number }>(
      endPoint,
      this._serverSettings,
      init
    );
    if (found.schema !== SCHEMA) {
      throw new Error(this._otherVersion());
    }
    return found;
  }

  private async _look(): Promise<void> {
    const turn = ++this._turn;
    let listing = this._listing;
    let problem = '';
    try {
      listing = await this._ask<IYardListing>('yard');
    } catch (error) {
      problem = this._told(error);
    }
    if (turn === this._turn) {
      const fresh = JSON.stringify(listing);
      const changed = fresh !== this._text || problem !== this._problem;
      this._listing = listing;
      this._problem = problem;
      this._text = fresh;
      if (changed) {
        this._changed.emit();
      }
    }
  }

  private _told(error: unknown): string {
    if (
      error instanceof ServerConnection.ResponseError &&
      error.response.status === 404
    ) {
      return this._trans.__(
        'The server has no modelyard, or an older one: type “jupyter server extension enable modelyard_lab” where it runs, and start it again.'
      );
    }
    const reason = reasonOf(error);
    return reason === this._otherVersion()
      ? reason
      : this._trans.__('The yard cannot be read: %1', reason);
  }

  private _otherVersion(): string {
    return this._trans.__(
      'This page and its server are of different versions: install both from one modelyard, start the server again, then reload the page.'
    );
  }

  private _onEvent(_: unknown, event: Event.Emission): void {
    if (event.schema_id !== EVENTS) {
      return;
    }
    if (event.what !== 'changed') {
      this._noticed.emit(event as unknown as INotice);
    }
    void this.refresh();
  }

  private readonly _serverSettings: ServerConnection.ISettings;
  private readonly _trans: TranslationBundle;
  private readonly _poll: Poll<void, unknown, string>;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _noticed = new Signal<this, INotice>(this);
  private _listing: IYardListing | null = null;
  private _problem = '';
  private _text = '';
  private _settings: IYardSettings = DEFAULTS;
  private _turn = 0;
}

export namespace YardModel {
  export interface IOptions {
    serverSettings: ServerConnection.ISettings;
    /** What the server tells by itself. */
    events: Event.Stream;
    trans: TranslationBundle;
  }
}
