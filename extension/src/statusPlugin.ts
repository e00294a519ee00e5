import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { StatusItem } from './statusItem';
import { CommandIDs, IYardModel } from './tokens';

/** The status bar's count of endpoints. */
export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:status',
  description: 'Shows how many endpoints run in the status bar.',
  autoStart: true,
  requires: [IYardModel],
  optional: [IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IYardModel,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('modelyard');
    const item = new StatusItem(
      model,
      trans,
      () => void app.commands.execute(CommandIDs.showYard)
    );
    statusBar?.registerStatusItem('modelyard-lab:status', {
      item,
      align: 'left',
      rank: 20
    });
  }
};
