import type { SourceSelector } from './selector.js';

/** A uniform shuffle: many targets spread over many seeds. */
export function randomSelector(): SourceSelector {
  return {
    name: 'random',
    order: (candidates) => {
      const shuffled = [...candidates];
      for (let last = shuffled.length - 1; last > 0; last--) {
        const other = Math.floor(Math.random() * (last + 1));
        [shuffled[last], shuffled[other]] = [shuffled[other] as (typeof shuffled)[0], shuffled[last] as (typeof shuffled)[0]];
      }
      return shuffled;
    },
  };
}
