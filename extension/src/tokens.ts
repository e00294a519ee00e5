import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

/** The number of what the server tells; another one is of another modelyard. */
export const SCHEMA = 2;

export type YardKind =
  | 'evaluations'
  | 'studies'
  | 'compressions'
  | 'bundles'
  | 'deployments';

export const KINDS: readonly YardKind[] = [
  'evaluations',
  'studies',
  'compressions',
  'bundles',
  'deployments'
];

/** What the server tells of one thing in the catalog. */
export interface IYardEntry {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** One sentence, or empty. */
  readonly summary: string;
  /** The notebook that made it, from the server's root; null where it is not known or gone. */
  readonly notebook: string | null;
  /** Of studies and compressions. */
  readonly state?: string;
  /** Of bundles: whether the store has it no longer. */
  readonly gone?: boolean;
}

export type Health =
  | 'ready'
  | 'starting'
  | 'stopped'
  | 'down'
  | 'checking'
  | 'unknown';

/** How a deployment does. */
export interface IDeployed {
  readonly bundle: string;
  readonly target: string;
  readonly url: string;
  readonly desired: string;
  readonly health: Health;
  readonly detail: string;
  /** The column with the most values outside of what training saw, if they are many. */
  readonly drift: string | null;
  /** The share of each variant that answers. */
  readonly variants: { readonly [name: string]: number };
  readonly rolling: boolean;
  readonly can_roll_back: boolean;
  readonly supervision: {
    readonly restarts: number;
    readonly failure: string | null;
    readonly next_try_s: number | null;
  };
}

export type IDeploymentEntry = IYardEntry & IDeployed;

/** The answer of GET modelyard/yard. */
export interface IYardListing {
  readonly schema: number;
  /** The project's root, relative to the server's; empty where they are the same. */
  readonly root: string;
  /** How many there are of each kind; the newest are listed. */
  readonly counts: { readonly [kind in YardKind]: number };
  readonly evaluations: readonly IYardEntry[];
  readonly studies: readonly IYardEntry[];
  readonly compressions: readonly IYardEntry[];
  readonly bundles: readonly IYardEntry[];
  readonly deployments: readonly IDeploymentEntry[];
}

export type Cell = string | number | boolean | null;

export interface ITable {
  readonly key: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** How many more rows there are. */
  readonly more: number;
}

/** What a main-area view shows of anything. */
export interface ISheet {
  readonly schema: number;
  readonly kind: string;
  readonly name: string;
  readonly facts: { readonly [key: string]: Cell };
  readonly tables: readonly ITable[];
  readonly texts: readonly { readonly key: string; readonly text: string }[];
}

/** The answer of GET modelyard/yard/KIND/NAME. */
export interface IDetail extends ISheet, IYardEntry {
  readonly calls: { readonly python: string; readonly magic: string };
  readonly deployment: IDeployed | null;
}

/** The answer of GET modelyard/card. */
export interface ICard extends ISheet {
  readonly path: string;
}

export interface IFigures {
  readonly requests_per_s: number | null;
  readonly errors_per_s: number | null;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly requests: number;
  readonly refused: number;
  readonly errors: number;
  readonly rows: number;
  readonly flagged: { readonly [column: string]: number };
}

/** The answer of GET modelyard/deployments/NAME/metrics. */
export interface IMetrics {
  readonly schema: number;
  readonly window_s: number;
  readonly total: IFigures;
  readonly variants: { readonly [name: string]: IFigures };
}

export type Act = 'stop' | 'start' | 'roll-back';

/** The answer of POST modelyard/deployments/NAME/ACT. */
export interface IDone {
  /** False where it was so already. */
  readonly changed: boolean;
  readonly message: string;
}

/** What has happened while one looked elsewhere. */
export interface INotice {
  readonly what:
    | 'study-ended'
    | 'rolled-back'
    | 'rolled-out'
    | 'restarted'
    | 'restart-failed';
  readonly name: string;
  readonly detail: string;
}

export interface IYardSettings {
  readonly refreshSeconds: number;
  readonly notifications: boolean;
  readonly statusBar: boolean;
}

/** What exists in the project, and what can be done to it. */
export interface IYardModel {
  /** Null until the server has answered. */
  readonly listing: IYardListing | null;
  /** Why the last look failed, in one line; empty where it did not. */
  readonly problem: string;
  readonly settings: IYardSettings;
  /** `listing`, `problem` or `settings` is another one. */
  readonly changed: ISignal<IYardModel, void>;
  readonly noticed: ISignal<IYardModel, INotice>;
  refresh(): Promise<void>;
  detail(kind: YardKind, name: string): Promise<IDetail>;
  metrics(name: string): Promise<IMetrics>;
  card(path: string): Promise<ICard>;
  bundlesIn(folder: string): Promise<readonly string[]>;
  act(name: string, act: Act): Promise<IDone>;
}

export const IYardModel = new Token<IYardModel>(
  'modelyard-lab:IYardModel',
  'What exists in a modelyard project, kept up to date.'
);

export namespace CommandIDs {
  export const showYard = 'modelyard:show-yard';
  export const refreshYard = 'modelyard:refresh-yard';
  export const openEntry = 'modelyard:open-entry';
  export const stopDeployment = 'modelyard:stop-deployment';
  export const startDeployment = 'modelyard:start-deployment';
  export const rollBack = 'modelyard:roll-back';
  export const copyCall = 'modelyard:copy-call';
  export const copyMagic = 'modelyard:copy-magic';
  export const openNotebook = 'modelyard:open-notebook';
  export const showCard = 'modelyard:show-card';
}
