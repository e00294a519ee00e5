import type { TranslationBundle } from '@jupyterlab/translation';

import type { Health, YardKind } from './tokens';

/** The words for a kind, and the magic that makes one. */
export function kindLabels(trans: TranslationBundle): {
  readonly [kind in YardKind]: {
    readonly many: string;
    readonly one: string;
    readonly magic: string;
  };
} {
  return {
    evaluations: {
      many: trans.__('Evaluations'),
      one: trans.__('Evaluation'),
      magic: '%cv'
    },
    studies: {
      many: trans.__('Studies'),
      one: trans.__('Study'),
      magic: '%%tune'
    },
    compressions: {
      many: trans.__('Compressions'),
      one: trans.__('Compression'),
      magic: '%compress'
    },
    bundles: {
      many: trans.__('Bundles'),
      one: trans.__('Bundle'),
      magic: '%package'
    },
    deployments: {
      many: trans.__('Deployments'),
      one: trans.__('Deployment'),
      magic: '%deploy'
    }
  };
}

export function healthLabel(trans: TranslationBundle, health: Health): string {
  switch (health) {
    case 'ready':
      return trans.__('ready');
    case 'starting':
      return trans.__('starting');
    case 'stopped':
      return trans.__('stopped');
    case 'down':
      return trans.__('down');
    case 'checking':
      return trans.__('checking…');
    default:
      return trans.__('unknown');
  }
}

/** The words for the keys of facts, tables, columns and texts; a key without words is shown as it is. */
export function keyLabels(trans: TranslationBundle): {
  readonly [key: string]: string;
} {
  return {
    agreement: trans.__('Agreement'),
    at: trans.__('At'),
    best_params: trans.__('Best parameters'),
    best_score: trans.__('Best score'),
    bundle: trans.__('Bundle'),
    by: trans.__('By'),
    candidates: trans.__('Candidates'),
    card: trans.__('Model card'),
    chosen: trans.__('Chosen'),
    ci_high: trans.__('95 % to'),
    ci_low: trans.__('95 % from'),
    column: trans.__('Column'),
    columns: trans.__('Columns'),
    control: trans.__('Control'),
    count: trans.__('Count'),
    cv: trans.__('Splits'),
    desired: trans.__('Meant to be'),
    digest: trans.__('Digest'),
    direction: trans.__('Direction'),
    drop: trans.__('Drop'),
    estimator: trans.__('Estimator'),
    external: trans.__('Weights in other files'),
    failed: trans.__('What could not be made'),
    features: trans.__('Features'),
    figure: trans.__('Figure'),
    findings: trans.__('Finding'),
    finished: trans.__('Finished trials'),
    form: trans.__('Form'),
    format: trans.__('Format'),
    history: trans.__('History of the traffic'),
    inputs: trans.__('Inputs'),
    ir_version: trans.__('IR version'),
    key: trans.__('Key'),
    latency_us: trans.__('Latency, µs'),
    mean: trans.__('Mean'),
    metadata: trans.__('Metadata'),
    method: trans.__('Method'),
    metric: trans.__('Metric'),
    model: trans.__('Model'),
    name: trans.__('Name'),
    nodes: trans.__('Nodes'),
    number: trans.__('Number'),
    operator: trans.__('Operator'),
    operators: trans.__('Operators'),
    opset: trans.__('Opset'),
    outputs: trans.__('Outputs'),
    parameter: trans.__('Parameter'),
    parity: trans.__('Parity with the estimator'),
    producer: trans.__('Producer'),
    rows: trans.__('Rows'),
    score: trans.__('Score'),
    searched: trans.__('Searched'),
    seconds: trans.__('Seconds'),
    seed: trans.__('Seed'),
    shadow: trans.__('Shadow'),
    shape: trans.__('Shape'),
    share: trans.__('Share'),
    size_bytes: trans.__('Size, bytes'),
    slice: trans.__('Slice'),
    slices: trans.__('Slices'),
    space: trans.__('Search space'),
    state: trans.__('State'),
    std: trans.__('Std'),
    summary: trans.__('Metrics'),
    target: trans.__('Target'),
    task: trans.__('Task'),
    technique: trans.__('Technique'),
    trials: trans.__('Trials wanted'),
    trust: trans.__('Trust decision'),
    type: trans.__('Type'),
    url: trans.__('URL'),
    value: trans.__('Value'),
    variant: trans.__('Variant'),
    variants: trans.__('Variants'),
    weights: trans.__('Weight tensors'),
    why: trans.__('Why')
  };
}
