import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  Clipboard,
  Dialog,
  ICommandPalette,
  InputDialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import {
  codeIcon,
  copyIcon,
  LabIcon,
  notebookIcon,
  runIcon,
  stopIcon,
  undoIcon
} from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { reasonOf } from './dom';
import { kindLabels } from './labels';
import { Act, CommandIDs, IYardModel, KINDS, YardKind } from './tokens';

interface IPicked {
  readonly kind: YardKind;
  readonly name: string;
}

const PICKED_ARGS = {
  type: 'object',
  properties: {
    kind: {
      type: 'string',
      enum: [...KINDS],
      description: 'What kind of thing it is'
    },
    name: {
      type: 'string',
      description: 'Its name; asked for where it is missing'
    }
  }
} as const;

/** What can be done to a thing of the yard: from its buttons, the palette, or a keyboard shortcut. */
export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:commands',
  description: 'Stops, starts and rolls back deployments; copies calls.',
  autoStart: true,
  requires: [IYardModel],
  optional: [ICommandPalette, ITranslator],
  activate
};

function activate(
  app: JupyterFrontEnd,
  model: IYardModel,
  palette: ICommandPalette | null,
  translator: ITranslator | null
): void {
  const trans = (translator ?? nullTranslator).load('modelyard');
  const category = trans.__('modelyard');

  const add = (
    id: string,
    icon: LabIcon,
    label: string,
    caption: string,
    kinds: readonly YardKind[],
    run: (picked: IPicked) => Promise<void>
  ): void => {
    app.commands.addCommand(id, {
      label: args => (args.name ? label : `${label}…`),
      caption,
      icon,
      describedBy: { args: PICKED_ARGS },
      execute: async args => {
        const found = picked(args) ?? (await pick(model, kinds, label, trans));
        if (found !== null) {
          try {
            await run(found);
          } catch (error) {
            Notification.error(reasonOf(error), { autoClose: 8000 });
          }
        }
      }
    });
    palette?.addItem({ command: id, category });
  };

  const act = (what: Act, question?: IQuestion) => {
    return async ({ name }: IPicked): Promise<void> => {
      if (question && !(await agreed(question, name))) {
        return;
      }
      const done = await model.act(name, what);
      Notification.emit(done.message, done.changed ? 'success' : 'info', {
        autoClose: 5000
      });
    };
  };

  add(
    CommandIDs.stopDeployment,
    stopIcon,
    trans.__('Stop the Deployment'),
    trans.__('Stop it until it is started again; nothing of it is lost'),
    ['deployments'],
    act('stop', {
      title: name => trans.__('Stop %1?', name),
      body: trans.__(
        'Whoever asks it gets no answer until it is started again.'
      ),
      accept: trans.__('Stop')
    })
  );
  add(
    CommandIDs.startDeployment,
    runIcon,
    trans.__('Start the Deployment'),
    trans.__('Let it answer again, at the same URL'),
    ['deployments'],
    act('start')
  );
  add(
    CommandIDs.rollBack,
    undoIcon,
    trans.__('Roll Back the Traffic'),
    trans.__('Give every request back to the control'),
    ['deployments'],
    act('roll-back', {
      title: name => trans.__('Roll back %1?', name),
      body: trans.__(
        'From now on the control answers every request; where it does already, the one before it does.'
      ),
      accept: trans.__('Roll Back')
    })
  );
  add(
    CommandIDs.copyCall,
    copyIcon,
    trans.__('Copy the Python Call'),
    trans.__('Copy what to type in Python to have it in a cell'),
    KINDS,
    async ({ kind, name }) =>
      copied((await model.detail(kind, name)).calls.python, trans)
  );
  add(
    CommandIDs.copyMagic,
    codeIcon,
    trans.__('Copy the Magic'),
    trans.__('Copy the magic that goes on with it in a cell'),
    KINDS,
    async ({ kind, name }) =>
      copied((await model.detail(kind, name)).calls.magic, trans)
  );
  add(
    CommandIDs.openNotebook,
    notebookIcon,
    trans.__('Open the Notebook'),
    trans.__('Open the notebook that made it'),
    KINDS,
    async ({ kind, name }) => {
      const { notebook } = await model.detail(kind, name);
      if (notebook === null) {
        const said = trans.__(
          'It is not known which notebook made %1, or that notebook is gone',
          name
        );
        Notification.info(said, { autoClose: 5000 });
        return;
      }
      await app.commands.execute('docmanager:open', { path: notebook });
    }
  );
}

interface IQuestion {
  readonly title: (name: string) => string;
  readonly body: string;
  readonly accept: string;
}

async function agreed(question: IQuestion, name: string): Promise<boolean> {
  const answer = await showDialog({
    title: question.title(name),
    body: question.body,
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({ label: question.accept })
    ]
  });
  return answer.button.accept;
}

function picked(args: ReadonlyPartialJSONObject): IPicked | null {
  const { kind = 'deployments', name } = args;
  const known = KINDS.find(each => each === kind);
  return known && typeof name === 'string' ? { kind: known, name } : null;
}

/** Ask which of the things of some kinds is meant; null where nobody answers. */
export async function pick(
  model: IYardModel,
  kinds: readonly YardKind[],
  title: string,
  trans: TranslationBundle
): Promise<IPicked | null> {
  const labels = kindLabels(trans);
  const { listing } = model;
  const found = kinds.flatMap(kind =>
    [...(listing?.[kind] ?? [])].reverse().map(({ name }) => ({ kind, name }))
  );
  if (found.length === 0) {
    const said = model.problem || trans.__('There is none in this project yet');
    Notification.info(said, { autoClose: 5000 });
    return null;
  }
  const items = found.map(({ kind, name }) => `${labels[kind].one}: ${name}`);
  const { value } = await InputDialog.getItem({
    title,
    label: trans.__('Which one?'),
    items
  });
  return value === null ? null : (found[items.indexOf(value)] ?? null);
}

function copied(call: string, trans: TranslationBundle): void {
  Clipboard.copyToSystem(call);
  Notification.success(trans.__('Copied: %1', call), { autoClose: 3000 });
}
