import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';

import { CommandIDs, INotice, IYardModel, YardKind } from './tokens';

/** Tells what has happened while one looked elsewhere. */
export const notificationsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:notifications',
  description:
    'Tells when a study ends, a rollout ends or rolls back, or a deployment is started again.',
  autoStart: true,
  requires: [IYardModel],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IYardModel,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('modelyard');
    model.noticed.connect((_, notice) => {
      if (!model.settings.notifications) {
        return;
      }
      const { type, kind, text } = worded(notice, trans);
      Notification.emit(text, type, {
        autoClose: 10000,
        actions: [
          {
            label: trans.__('Show'),
            caption: trans.__('Open %1', notice.name),
            callback: () =>
              void app.commands.execute(CommandIDs.openEntry, {
                kind,
                name: notice.name
              })
          }
        ]
      });
    });
  }
};

interface IWorded {
  readonly type: Notification.TypeOptions;
  readonly kind: YardKind;
  readonly text: string;
}

function worded(notice: INotice, trans: TranslationBundle): IWorded {
  const { name, detail } = notice;
  const kind = 'deployments';
  switch (notice.what) {
    case 'study-ended':
      return {
        type: 'success',
        kind: 'studies',
        text: trans.__('Study %1 has ended: %2', name, detail)
      };
    case 'rolled-back':
      return {
        type: 'warning',
        kind,
        text: trans.__('%1 has rolled back: %2', name, detail)
      };
    case 'rolled-out':
      return {
        type: 'success',
        kind,
        text: trans.__('The rollout of %1 is finished: %2', name, detail)
      };
    case 'restarted':
      return {
        type: 'warning',
        kind,
        text: trans.__('%1 was started again: %2', name, detail)
      };
    default:
      return {
        type: 'error',
        kind,
        text: trans.__('%1 cannot be started again: %2', name, detail)
      };
  }
}
