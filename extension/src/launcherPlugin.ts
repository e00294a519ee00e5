import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs } from './tokens';

/** The launcher's card of the yard. */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:launcher',
  description: 'Adds the Yard to the launcher.',
  autoStart: true,
  optional: [ILauncher, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    launcher: ILauncher | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('modelyard');
    launcher?.add({
      command: CommandIDs.showYard,
      category: trans.__('Other'),
      rank: 10
    });
  }
};
