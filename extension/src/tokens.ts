/** What the server tells of one thing in the catalog. */
export interface IYardEntry {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** One sentence, or empty. */
  readonly summary: string;
}

/** The answer of GET modelyard/yard. */
export interface IYardListing {
  readonly schema: 1;
  /** The project's root, relative to the server's; empty where they are the same. */
  readonly root: string;
  readonly evaluations: readonly IYardEntry[];
  readonly studies: readonly IYardEntry[];
  readonly compressions: readonly IYardEntry[];
  readonly bundles: readonly IYardEntry[];
  readonly deployments: readonly IYardEntry[];
}

export type YardKind =
  | 'evaluations'
  | 'studies'
  | 'compressions'
  | 'bundles'
  | 'deployments';

export namespace CommandIDs {
  export const showYard = 'modelyard:show-yard';
  export const refreshYard = 'modelyard:refresh-yard';
}
