import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { MainAreaWidget } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { FileBrowser, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CardView } from './cardView';
import { yardIcon } from './icons';
import { CommandIDs, IYardModel } from './tokens';

/** The card of a model file or a bundle's folder, from the file browser's menu. */
export const cardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:card',
  description: 'Shows the card of an .onnx file or of a bundle.',
  autoStart: true,
  requires: [IYardModel],
  optional: [IFileBrowserFactory, ITranslator],
  activate
};

function activate(
  app: JupyterFrontEnd,
  model: IYardModel,
  browsers: IFileBrowserFactory | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('modelyard');
  const { contents } = app.serviceManager;
  const bundles = new Bundles(model, path => contents.localPath(path));
  browsers?.tracker.forEach(browser => bundles.watch(browser));
  browsers?.tracker.widgetAdded.connect((_, browser) => bundles.watch(browser));

  const selected = (): Contents.IModel | null => {
    const items = [...(browsers?.tracker.currentWidget?.selectedItems() ?? [])];
    const [item] = items;
    const hasCard =
      items.length === 1 &&
      (item.type === 'directory'
        ? bundles.has(item.path)
        : PathExt.extname(item.path).toLowerCase() === '.onnx');
    return hasCard ? item : null;
  };

  app.commands.addCommand(CommandIDs.showCard, {
    label: trans.__('Show Model Card'),
    caption: trans.__(
      'Show what a model file or a bundle says of itself; nothing of it is run'
    ),
    icon: yardIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          path: {
            type: 'string',
            description:
              'An .onnx file or a bundle’s folder; what is selected in the file browser by default'
          }
        }
      }
    },
    isVisible: args => typeof args.path === 'string' || selected() !== null,
    execute: args => {
      const path =
        typeof args.path === 'string' ? args.path : selected()?.path;
      if (path === undefined) {
        return;
      }
      const local = contents.localPath(path);
      const content = new CardView(local, () => model.card(local), trans);
      const widget = new MainAreaWidget({ content });
      widget.title.label = PathExt.basename(local);
      widget.title.icon = yardIcon;
      widget.title.closable = true;
      widget.toolbar.hide();
      app.shell.add(widget, 'main');
      app.shell.activateById(widget.id);
    }
  });
}

/** Which folders that a file browser shows are bundles: a menu cannot wait for the server. */
class Bundles {
  constructor(
    private readonly _model: IYardModel,
    private readonly _localPath: (path: string) => string
  ) {}

  watch(browser: FileBrowser): void {
    const look = () => void this._look(this._localPath(browser.model.path));
    browser.model.pathChanged.connect(look);
    browser.model.refreshed.connect(look);
    look();
  }

  has(path: string): boolean {
    const local = this._localPath(path);
    const names = this._names.get(PathExt.dirname(local));
    return names?.includes(PathExt.basename(local)) ?? false;
  }

  private async _look(folder: string): Promise<void> {
    try {
      this._names.set(folder, await this._model.bundlesIn(folder));
    } catch {
      this._names.delete(folder); // gone by now, or the server is: the menu is without the entry
    }
  }

  private readonly _names = new Map<string, readonly string[]>();
}
