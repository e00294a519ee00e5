import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { type ISessionContext, IThemeManager } from '@jupyterlab/apputils';
import type { DocumentRegistry, IDocumentWidget } from '@jupyterlab/docregistry';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { Widget } from '@lumino/widgets';

import { PANEL, SavedView, WIDGET_VIEW } from './savedView';

/** Before the widgets' own, which is at -10 and knows no result but a live one. */
const RANK = -20;

type INotebookPanel = IDocumentWidget<
  Widget & { readonly rendermime: IRenderMimeRegistry }
>;

/** Results of an earlier session, in a notebook that is opened again. */
export const savedPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:saved',
  description:
    'Shows what a notebook has kept of a result whose kernel is gone.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [IThemeManager, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    shared: IRenderMimeRegistry,
    themes: IThemeManager | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('modelyard');
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (
        panel: INotebookPanel,
        { sessionContext }: DocumentRegistry.IContext<DocumentRegistry.IModel>
      ): void => {
        const { rendermime } = panel.content;
        const managed = whenManaged(rendermime, shared, sessionContext);
        const notebook = { rendermime, sessionContext, managed, themes, trans };
        rendermime.addFactory(
          {
            safe: true,
            mimeTypes: [PANEL],
            createRenderer: () => new SavedView(notebook)
          },
          RANK
        );
      }
    });
  }
};

/** Settle once a notebook has a renderer of widgets that is not the one all notebooks begin with. */
function whenManaged(
  rendermime: IRenderMimeRegistry,
  shared: IRenderMimeRegistry,
  sessionContext: ISessionContext
): Promise<void> {
  return new Promise(resolve => {
    const look = () => {
      const own = rendermime.getFactory(WIDGET_VIEW);
      if (own !== undefined && own !== shared.getFactory(WIDGET_VIEW)) {
        sessionContext.statusChanged.disconnect(look);
        resolve();
      }
    };
    sessionContext.statusChanged.connect(look);
    // the widgets wait for the same, and then take a moment more
    void sessionContext.ready.then(() => window.setTimeout(look));
    look();
  });
}
