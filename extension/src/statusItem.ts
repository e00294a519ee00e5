import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { element } from './dom';
import { conditionOf } from './health';
import { yardIcon } from './icons';
import type { IYardModel } from './tokens';

/** How many endpoints run, in the status bar, with a word of warning where one does not do well. */
export class StatusItem extends Widget {
  constructor(
    private readonly _model: IYardModel,
    private readonly _trans: TranslationBundle,
    show: () => void
  ) {
    super();
    this.addClass('modelyard-StatusItem');
    this._button = element('button', 'StatusItem-button');
    this._button.type = 'button';
    this._button.addEventListener('click', show);
    this.node.append(this._button);
    this._model.changed.connect(this._show, this);
    this._show();
  }

  private _show(): void {
    const trans = this._trans;
    const { listing, settings } = this._model;
    this.setHidden(
      !settings.statusBar ||
        listing === null ||
        listing.deployments.length === 0
    );
    const { running, unhealthy, drifting } = conditionOf(listing);
    const count = trans._n(
      '%1 endpoint',
      '%1 endpoints',
      running.length
    );
    const warnings: string[] = [];
    if (unhealthy.length > 0) {
      warnings.push(trans.__('%1 down', unhealthy.length));
    }
    if (drifting.length > 0) {
      warnings.push(trans.__('%1 drifting', drifting.length));
    }
    const picture = element('span', 'StatusItem-icon');
    picture.setAttribute('aria-hidden', 'true');
    yardIcon.element({ container: picture });
    this._button.replaceChildren(
      picture,
      element('span', 'StatusItem-count', count),
      ...warnings.map(text => element('span', 'StatusItem-warning', text))
    );
    const named = [
      ...unhealthy.map(({ name, detail }) => `${name}: ${detail}`),
      ...drifting.map(({ name, drift }) =>
        trans.__('%1: outside of what training saw, %2 of values', name, drift ?? '')
      )
    ];
    this._button.title = [
      trans.__('Show the Yard'),
      ...running.map(({ name, detail }) => `${name}: ${detail}`),
      ...named
    ].join('\n');
  }

  private readonly _button: HTMLButtonElement;
}
