import type { ISessionContext, IThemeManager } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { TranslationBundle } from '@jupyterlab/translation';
import { JSONExt, ReadonlyPartialJSONValue } from '@lumino/coreutils';
import { Panel, Widget } from '@lumino/widgets';

import { element } from './dom';
import { gather, tint } from './savedPictures';

/** What says that an output is a panel of ours; its JSON holds what the panel is called. */
export const PANEL = 'application/vnd.modelyard.panel+json';
export const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';
const KEPT = ['text/html', 'text/plain'] as const;
/** Milliseconds that a panel may take before what is kept stands in: shorter, and new panels would flicker. */
const PATIENCE = 600;

/** The panel of a result where its kernel still has it, and else what the notebook has kept of it. */
export class SavedView extends Panel implements IRenderMime.IRenderer {
  constructor(private readonly _notebook: SavedView.INotebook) {
    super();
    this.addClass('modelyard-Saved');
    _notebook.sessionContext.kernelChanged.connect(this._show, this);
    _notebook.themes?.themeChanged.connect(this._tint, this);
  }

  /** Draw an output, also in the place of the one that was drawn before. */
  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._clear();
    this._model = model;
    const turn = this._turn;
    const view = model.data[WIDGET_VIEW];
    if (!model.trusted || view === undefined) {
      this._gone = true;
      return this._show();
    }
    this._patience = window.setTimeout(() => {
      this._late = true;
      void this._show();
    }, PATIENCE);
    void this._notebook.managed.then(() => {
      if (turn === this._turn && !this.isDisposed) {
        this._ask(view);
      }
    });
    return Promise.resolve();
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._clear();
    this._model = null;
    super.dispose();
  }

  /** Have the widgets draw the panel, and look what becomes of it. */
  private _ask(view: ReadonlyPartialJSONValue): void {
    const { rendermime } = this._notebook;
    const live = rendermime.createRenderer(WIDGET_VIEW);
    // a copy: a view that is disposed of writes into what it was given
    const data = { [WIDGET_VIEW]: JSONExt.deepCopy(view) };
    this._live = live;
    this.addWidget(live);
    // the widgets tell nobody when they find a model, or that they do not: only their node shows it
    this._watch = new MutationObserver(() => void this._show());
    this._watch.observe(live.node, {
      childList: true,
      attributeFilter: ['class']
    });
    live
      .renderModel(rendermime.createModel({ data, trusted: true }))
      .catch(() => {
        if (live === this._live) {
          this._gone = true;
          void this._show();
        }
      });
    void this._show();
  }

  /** Show what there is by now: the panel, or what is kept. */
  private async _show(): Promise<void> {
    const live = this._live;
    if (live !== null && live.node.childElementCount > 0) {
      this._arrived();
      return;
    }
    if (live?.hasClass('jupyter-widgets')) {
      this._gone = true; // what the widgets say instead of a panel has the class that else its view has
    }
    if (this._gone) {
      this._letGo();
    }
    if (this._gone || this._late) {
      this._live?.hide();
      await this._standIn();
    }
  }

  private _arrived(): void {
    window.clearTimeout(this._patience);
    this._kept?.dispose();
    this._kept = this._note = null;
    this._watch?.disconnect();
    this._live?.show();
  }

  private async _standIn(): Promise<void> {
    const model = this._model;
    if (model === null || this._kept !== null) {
      this._say();
      return;
    }
    const kept = (this._kept = new Panel());
    kept.addClass('modelyard-Saved-kept');
    kept.node.setAttribute('role', 'group');
    kept.node.setAttribute('aria-label', this._title(model));
    this._note = new Widget({ node: element('p', 'Saved-note') });
    this._say();
    kept.addWidget(this._note);
    this.addWidget(kept);
    const mimeType = KEPT.find(each => each in model.data);
    if (mimeType !== undefined) {
      // the notebook's own renderer, which cleans what is not trusted
      const drawn = this._notebook.rendermime.createRenderer(mimeType);
      kept.addWidget(drawn);
      await drawn.renderModel(model);
      gather(kept.node);
      this._tint();
    }
  }

  private _tint(): void {
    if (this._kept !== null) {
      tint(this._kept.node);
    }
  }

  /** Say why this is no panel, and what makes it one; nothing while the kernel may still have it. */
  private _say(): void {
    const { sessionContext, trans } = this._notebook;
    let words = '';
    if (this._gone || !sessionContext.session?.kernel) {
      words = trans.__(
        'Kept from an earlier session: run the cell to use its panel.'
      );
    } else if (this._live === null && sessionContext.isReady) {
      // jupyterlab_widgets gives up on a notebook that was opened without a kernel, also when it gets one
      words = trans.__('Reload the page to use its panel.');
    }
    if (this._note !== null) {
      this._note.node.textContent = words;
      this._note.setHidden(words === '');
    }
  }

  private _title(model: IRenderMime.IMimeModel): string {
    // a notebook that came from somewhere else may hold anything
    const title = (model.data[PANEL] as { title?: unknown } | null)?.title;
    return typeof title === 'string' ? title : this._notebook.trans.__('Result');
  }

  private _letGo(): void {
    window.clearTimeout(this._patience);
    this._watch?.disconnect();
    this._live?.dispose();
    this._watch = this._live = null;
  }

  private _clear(): void {
    this._turn += 1;
    this._letGo();
    this._kept?.dispose();
    this._kept = this._note = null;
    this._gone = this._late = false;
  }

  private _model: IRenderMime.IMimeModel | null = null;
  private _turn = 0;
  private _patience = 0;
  private _late = false;
  private _gone = false;
  private _live: IRenderMime.IRenderer | null = null;
  private _watch: MutationObserver | null = null;
  private _kept: Panel | null = null;
  private _note: Widget | null = null;
}

export namespace SavedView {
  /** The notebook that an output is in. */
  export interface INotebook {
    readonly rendermime: IRenderMimeRegistry;
    readonly sessionContext: ISessionContext;
    /** Settles once `rendermime` draws widgets of the notebook's own kernel: without one it never does. */
    readonly managed: Promise<void>;
    readonly themes: IThemeManager | null;
    readonly trans: TranslationBundle;
  }
}
