/** What the server sends to a page that is open. */

/** One element's children: their keys in order (null: as before), and the markup of those that are new or changed. */
export type RegionPatch = [id: string, order: string[] | null, set: [key: string, markup: string][]];

export type Patch = RegionPatch[];

/** The event "view". */
export interface ViewMessage {
  /** Unix milliseconds, the server's clock. */
  readonly at: number;
  /** Everything, not only what changed. */
  readonly whole: boolean;
  readonly patch: Patch;
}

/** The event "beat": nothing changed, and the server is alive. */
export interface BeatMessage {
  readonly at: number;
}
