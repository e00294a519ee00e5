import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  WidgetTracker
} from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { pick } from './commandsPlugin';
import { EntryView } from './entryView';
import { yardIcon } from './icons';
import { CommandIDs, IYardModel, KINDS } from './tokens';

/** Opens one thing of the yard in the main area. */
export const entryPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:entry',
  description: 'Opens what is in the yard in the main area.',
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
  const tracker = new WidgetTracker<MainAreaWidget<EntryView>>({
    namespace: 'modelyard-entries'
  });
  const label = trans.__('Open from the Yard');

  app.commands.addCommand(CommandIDs.openEntry, {
    label: args => (args.name ? label : `${label}…`),
    caption: trans.__('Show all that is known of it, in the main area'),
    icon: yardIcon,
    describedBy: {
      args: {
        type: 'object',
        properties: {
          kind: { type: 'string', enum: [...KINDS] },
          name: {
            type: 'string',
            description: 'Its name; asked for where it is missing'
          }
        }
      }
    },
    execute: async args => {
      const kind = KINDS.find(each => each === args.kind);
      const found =
        kind && typeof args.name === 'string'
          ? { kind, name: args.name }
          : await pick(model, KINDS, label, trans);
      if (found === null) {
        return;
      }
      const id = `modelyard-${found.kind}-${found.name}`;
      let widget = tracker.find(each => each.id === id);
      if (!widget) {
        const content = new EntryView({
          ...found,
          model,
          commands: app.commands,
          translator
        });
        widget = new MainAreaWidget({ content });
        widget.id = id;
        widget.title.label = found.name;
        widget.title.icon = yardIcon;
        widget.title.closable = true;
        widget.toolbar.hide();
        void tracker.add(widget);
      }
      if (!widget.isAttached) {
        app.shell.add(widget, 'main');
      }
      app.shell.activateById(id);
    }
  });
  palette?.addItem({
    command: CommandIDs.openEntry,
    category: trans.__('modelyard')
  });
  void restorer?.restore(tracker, {
    command: CommandIDs.openEntry,
    args: ({ content }) => ({ kind: content.kind, name: content.entryName }),
    name: ({ content }) => `${content.kind}/${content.entryName}`
  });
}
