import type { TranslationBundle } from '@jupyterlab/translation';

import { element } from './dom';
import { healthLabel } from './labels';
import type { IDeployed, IDeploymentEntry, IYardListing } from './tokens';

/** Whether a deployment is one that should answer and does not. */
export function isUnhealthy(deployed: IDeployed): boolean {
  return deployed.desired === 'running' && deployed.health === 'down';
}

export function isRunning(deployed: IDeployed): boolean {
  return deployed.health === 'ready' || deployed.health === 'starting';
}

export interface ICondition {
  readonly running: readonly IDeploymentEntry[];
  readonly unhealthy: readonly IDeploymentEntry[];
  readonly drifting: readonly IDeploymentEntry[];
}

/** Sort deployments by how they do. */
export function conditionOf(listing: IYardListing | null): ICondition {
  const all = listing?.deployments ?? [];
  return {
    running: all.filter(isRunning),
    unhealthy: all.filter(isUnhealthy),
    drifting: all.filter(each => isRunning(each) && each.drift !== null)
  };
}

/** Return a deployment's health, shares and what is wrong, as words. */
export function healthOf(
  deployed: IDeployed,
  trans: TranslationBundle
): HTMLElement {
  const health = element(
    'span',
    'Health',
    healthLabel(trans, deployed.health)
  );
  health.dataset.health = deployed.health;
  health.title = deployed.detail;
  const node = element('span', 'Healths', health);
  const shares = Object.entries(deployed.variants);
  if (shares.length > 1) {
    const told = shares.map(
      ([name, share]) => `${name} ${Math.round(1000 * share) / 10}%`
    );
    node.append(element('span', 'Health-shares', told.join(', ')));
  }
  if (deployed.rolling) {
    node.append(element('span', 'Health-rolling', trans.__('rolling out')));
  }
  for (const warning of warningsOf(deployed, trans)) {
    node.append(element('span', 'Health-warning', warning));
  }
  return node;
}

/** Return what is wrong with a deployment, one line each. */
export function warningsOf(
  deployed: IDeployed,
  trans: TranslationBundle
): string[] {
  const found: string[] = [];
  const { failure, restarts } = deployed.supervision;
  if (failure !== null) {
    found.push(trans.__('does not start: %1', failure));
  } else if (isUnhealthy(deployed)) {
    found.push(deployed.detail);
  }
  if (restarts > 0) {
    found.push(
      trans._n('started again once', 'started again %1 times', restarts)
    );
  }
  if (deployed.drift !== null) {
    found.push(
      trans.__('outside of what training saw: %1 of values', deployed.drift)
    );
  }
  return found;
}
