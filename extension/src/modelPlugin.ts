import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { YardModel } from './model';
import { IYardModel } from './tokens';

/** What exists in the project, and the user's settings, for all that shows them. */
export const modelPlugin: JupyterFrontEndPlugin<IYardModel> = {
  id: 'modelyard-lab:plugin',
  description: 'Keeps what exists in a modelyard project up to date.',
  autoStart: true,
  optional: [ISettingRegistry, ITranslator],
  provides: IYardModel,
  activate
};

function activate(
  app: JupyterFrontEnd,
  registry: ISettingRegistry | null,
  translator: ITranslator | null
): IYardModel {
  const { serverSettings, events } = app.serviceManager;
  const model = new YardModel({
    serverSettings,
    events: events.stream,
    trans: (translator ?? nullTranslator).load('modelyard')
  });
  void registry
    ?.load(modelPlugin.id)
    .then(settings => {
      const take = () => {
        const { refreshSeconds, notifications, statusBar } = settings.composite;
        model.settings = {
          refreshSeconds: Number(refreshSeconds),
          notifications: notifications === true,
          statusBar: statusBar === true
        };
      };
      settings.changed.connect(take);
      take();
    })
    .catch(() => undefined); // the defaults hold, and JupyterLab says what is wrong with the settings
  return model;
}
