// Nodes as they say themselves, and which of them are there: those whose beat grows.

/** `GET /v1/nodes`. A server that stands alone tells of no nodes, and of nothing else. */
export interface Told {
  cluster?: string;
  node?: string;
  epoch?: string;
  engine?: string;
  losses?: string[];
  standing?: { state: string; lag?: number; reason?: string };
  log?: { trimmed: number; tail: number };
  /** Which node has samples and alerts; none while it is taken over. */
  desk?: string | null;
  /** Which node takes over with all that rules remember, once its copy is `whole`. */
  standby?: { node: string; state: string } | null;
  nodes: Node[];
}

export interface Node {
  id: string;
  version: string;
  address: string;
  run: string;
  beat: number;
  /** A place of the log; none before it has applied anything. */
  applied?: number | null;
}

/** When a node was seen to beat last, in milliseconds of `performance.now()`. */
export interface Beat {
  run: string;
  beat: number;
  /** When this beat was seen first. */
  since: number;
  /** Whether another one was seen before it, or for how long it has not grown would say nothing. */
  hasGrown: boolean;
}

/** They beat about once a second; so long without one is no hiccup. */
export const SILENT_MS = 8_000;

/** What is known of beats, by node, behind another telling. */
export function beats(before: ReadonlyMap<string, Beat>, nodes: readonly Node[], now: number): Map<string, Beat> {
  return new Map(nodes.map(({ id, run, beat }) => {
    const known = before.get(id);
    if (known && known.run === run && known.beat === beat) return [id, known];
    return [id, { run, beat, since: now, hasGrown: known !== undefined }];
  }));
}

export type Presence = 'unknown' | 'there' | 'silent';

/** Whether a node is there. */
export function presence(beat: Beat | undefined, now: number): Presence {
  if (!beat) return 'unknown';
  if (now - beat.since >= SILENT_MS) return 'silent';
  return beat.hasGrown ? 'there' : 'unknown';
}

/**
 * How many places of the log a node is behind the one that has applied most; nothing where it does not say. The
 * end of the log would be no measure: some engines have places there of which nothing comes.
 */
export function lag({ applied }: Node, nodes: readonly Node[]): number | undefined {
  if (applied === undefined || applied === null) return undefined;
  return nodes.reduce((most, node) => Math.max(most, node.applied ?? 0), applied) - applied;
}

/** Whether nodes of more than one version are there, as during an update. */
export const areMixed = (nodes: readonly Node[]): boolean => new Set(nodes.map(({ version }) => version)).size > 1;
