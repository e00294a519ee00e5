import { LabIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import { element } from './dom';
import {
  CommandIDs,
  IDeploymentEntry,
  IYardEntry,
  YardKind
} from './tokens';

/** Return the commands that make sense for a thing as it is now. */
export function commandsFor(kind: YardKind, entry: IYardEntry): string[] {
  const found: string[] = [];
  if (kind === 'deployments') {
    const { health, desired, can_roll_back } = entry as IDeploymentEntry;
    if (health === 'stopped' || (health === 'down' && desired !== 'starting')) {
      found.push(CommandIDs.startDeployment);
    }
    if (health !== 'stopped' && health !== 'unknown') {
      found.push(CommandIDs.stopDeployment);
    }
    if (can_roll_back) {
      found.push(CommandIDs.rollBack);
    }
  }
  found.push(CommandIDs.copyCall, CommandIDs.copyMagic);
  if (entry.notebook) {
    found.push(CommandIDs.openNotebook);
  }
  return found;
}

/** Return a button for a command; with `words`, its label is shown beside its icon. */
export function commandButton(
  commands: CommandRegistry,
  id: string,
  kind: YardKind,
  name: string,
  words = false
): HTMLButtonElement {
  const args = { kind, name };
  const button = element('button', 'Action');
  button.type = 'button';
  button.dataset.key = `${kind}/${name}/${id}`;
  button.title = commands.caption(id, args);
  const icon = commands.icon(id, args);
  if (icon instanceof LabIcon) {
    const picture = element('span', 'Action-icon');
    picture.setAttribute('aria-hidden', 'true');
    icon.element({ container: picture });
    button.append(picture);
  }
  if (words) {
    button.append(commands.label(id, args));
  }
  // the name too, since a list has many buttons of one kind
  button.setAttribute('aria-label', `${commands.label(id, args)}: ${name}`);
  button.addEventListener('click', () => void commands.execute(id, args));
  return button;
}
