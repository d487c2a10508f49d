// How much memory a page takes that follows 1,000 events in a second, for as long as is asked. No
// test: it prints what it measures.
//
//     node memory.mjs [minutes]

import { setTimeout } from 'node:timers/promises';
import { heapBytes, openFollowing } from './heap.mjs';

const MINUTES = Number(process.argv[2] ?? 30);
const PER_SECOND = 1_000;

const closings = [];
try {
  const { page, publisher, faults } = await openFollowing({ after: (close) => closings.push(close) });
  const begin = Date.now();
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    while (Date.now() < begin + minute * 60_000) {
      const due = ((Date.now() - begin) / 1_000) * PER_SECOND;
      if (publisher.sent < due) await publisher.batch();
      else await setTimeout(10);
    }
    await publisher.taken();
    console.log(`minute ${minute}: ${publisher.sent} events, heap ${((await heapBytes(page)) / 1e6).toFixed(2)} MB`);
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
} finally {
  for (const close of closings.reverse()) await close();
}
