import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IRunningSessionManagers, IRunningSessions } from '@jupyterlab/running';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { ISignal, Signal } from '@lumino/signaling';

import { reasonOf } from './dom';
import { isRunning } from './health';
import { yardIcon } from './icons';
import { healthLabel } from './labels';
import { CommandIDs, IDeploymentEntry, IYardModel } from './tokens';

/** The deployments that run, among all else that does. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'modelyard-lab:running',
  description: 'Lists running deployments in the Running panel.',
  autoStart: true,
  requires: [IYardModel],
  optional: [IRunningSessionManagers, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IYardModel,
    managers: IRunningSessionManagers | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('modelyard');
    managers?.add(new Deployments(model, app.commands, trans));
  }
};

class Deployments implements IRunningSessions.IManager {
  constructor(
    private readonly _model: IYardModel,
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {
    this.name = _trans.__('Deployments');
    this.shutdownLabel = _trans.__('Stop');
    this.shutdownAllLabel = _trans.__('Stop All');
    this.shutdownAllConfirmationText = _trans.__(
      'Stop every deployment of this project? Whoever asks them gets no answer until they are started again.'
    );
    _model.changed.connect(() => this._changed.emit());
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): ISignal<this, void> {
    return this._changed;
  }

  running(): IRunningSessions.IRunningItem[] {
    return this._running().map(entry => ({
      open: () =>
        void this._commands.execute(CommandIDs.openEntry, {
          kind: 'deployments',
          name: entry.name
        }),
      shutdown: () => void this._stop(entry.name),
      icon: () => yardIcon,
      label: () => entry.name,
      labelTitle: () => entry.detail || entry.name,
      detail: () =>
        `${entry.bundle}, ${healthLabel(this._trans, entry.health)}`
    }));
  }

  shutdownAll(): void {
    for (const { name } of this._running()) {
      void this._stop(name);
    }
  }

  refreshRunning(): void {
    void this._model.refresh();
  }

  private _running(): readonly IDeploymentEntry[] {
    return (this._model.listing?.deployments ?? []).filter(isRunning);
  }

  private async _stop(name: string): Promise<void> {
    try {
      const { message, changed } = await this._model.act(name, 'stop');
      Notification.emit(message, changed ? 'success' : 'info', {
        autoClose: 5000
      });
    } catch (error) {
      Notification.error(reasonOf(error), { autoClose: 8000 });
    }
  }

  private readonly _changed = new Signal<this, void>(this);
}
