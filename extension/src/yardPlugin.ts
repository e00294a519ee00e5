import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import {
  CommandToolbarButton,
  LabIcon,
  refreshIcon
} from '@jupyterlab/ui-components';

import yardSvg from '../style/icons/yard.svg';
import { requestAPI } from './request';
import { CommandIDs, IYardListing } from './tokens';
import { YardPanel } from './yardPanel';

const NO_ARGS = { type: 'object', properties: {} } as const;

const yardIcon = new LabIcon({ name: 'modelyard:yard', svgstr: yardSvg });

/** The Yard: what exists in this project, in the side bar. */
export const yardPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:plugin',
  description:
    'Lists the evaluations, studies, compressions, bundles and deployments of a modelyard project.',
  autoStart: true,
  optional: [ICommandPalette, ILayoutRestorer, ITranslator],
  activate
};

function activate(
  app: JupyterFrontEnd,
  palette: ICommandPalette | null,
  restorer: ILayoutRestorer | null,
  maybeTranslator: ITranslator | null
): void {
  const translator = maybeTranslator ?? nullTranslator;
  const trans = translator.load('modelyard');
  const { serverSettings } = app.serviceManager;
  const panel = new YardPanel({
    fetch: () => requestAPI<IYardListing>('yard', serverSettings),
    translator
  });
  panel.id = 'modelyard-yard';
  panel.title.icon = yardIcon;
  panel.title.caption = trans.__('Yard: what exists in this project');

  app.commands.addCommand(CommandIDs.showYard, {
    label: trans.__('Show the Yard'),
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
    execute: () => panel.refresh()
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
