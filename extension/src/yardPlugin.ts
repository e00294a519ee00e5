import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { CommandToolbarButton, refreshIcon } from '@jupyterlab/ui-components';

import { yardIcon } from './icons';
import { CommandIDs, IYardModel } from './tokens';
import { YardPanel } from './yardPanel';

const NO_ARGS = { type: 'object', properties: {} } as const;

/** The Yard: what exists in this project, in the side bar. */
export const yardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:yard',
  description:
    'Lists the evaluations, studies, compressions, bundles and deployments of a modelyard project.',
  autoStart: true,
  requires: [IYardModel],
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  activate
};

function activate(
  app: JupyterFrontEnd,
  model: IYardModel,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null,
  maybeTranslator: ITranslator | null
): void {
  const translator = maybeTranslator ?? nullTranslator;
  const trans = translator.load('modelyard');
  const panel = new YardPanel({ model, commands: app.commands, translator });
  panel.id = 'modelyard-yard';
  panel.title.icon = yardIcon;
  panel.title.caption = trans.__('Yard: what exists in this project');

  app.commands.addCommand(CommandIDs.showYard, {
    label: args => (args.cwd === undefined ? trans.__('Show the Yard') : trans.__('Yard')),
    caption: trans.__(
      'List the evaluations, studies, compressions, bundles and deployments of this project'
    ),
    icon: yardIcon,
    describedBy: { args: NO_ARGS },
    execute: () => app.shell.activateById(panel.id)
  });
  app.commands.addCommand(CommandIDs.refreshYard, {
    label: trans.__('Refresh the Yard'),
    caption: trans.__(
      'Refresh the Yard: ask again what exists in this project'
    ),
    icon: refreshIcon,
    describedBy: { args: NO_ARGS },
    execute: () => model.refresh()
  });
  panel.toolbar.addItem(
    'refresh',
    new CommandToolbarButton({
      commands: app.commands,
      id: CommandIDs.refreshYard,
      label: ''
    })
  );

  const category = trans.__('modelyard');
  palette?.addItem({ command: CommandIDs.showYard, category });
  palette?.addItem({ command: CommandIDs.refreshYard, category });

  app.shell.add(panel, 'left', { rank: 600 });
  restorer?.add(panel, panel.id);
}
