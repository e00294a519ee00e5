import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { element, reasonOf } from './dom';
import { sheetOf } from './sheet';
import type { ICard } from './tokens';

/** What a model file or a bundle's folder says of itself, in the main area. */
export class CardView extends Widget {
  constructor(
    readonly path: string,
    fetch: () => Promise<ICard>,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('modelyard-Sheet');
    this.node.tabIndex = 0; // so that the keyboard scrolls it
    void this._look(fetch);
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    // here: what holds it in the main area names it otherwise
    this.node.setAttribute('role', 'region');
    this.node.setAttribute(
      'aria-label',
      this._trans.__('Card of %1', this.path)
    );
  }

  private async _look(fetch: () => Promise<ICard>): Promise<void> {
    const trans = this._trans;
    let nodes: Node[];
    try {
      const card = await fetch();
      const kind =
        card.kind === 'onnx' ? trans.__('ONNX model') : trans.__('Bundle');
      nodes = [
        element('h2', '', card.name),
        element('p', 'Sheet-subtitle', `${kind}, ${card.path}`),
        ...sheetOf(card, trans)
      ];
    } catch (error) {
      nodes = [
        element('h2', '', this.path),
        element('p', 'Sheet-warning', reasonOf(error))
      ];
    }
    if (!this.isDisposed) {
      this.node.replaceChildren(element('div', 'Sheet-body', ...nodes));
    }
  }
}
