// The ledger against the outside recorder.
import assert from 'node:assert/strict'
import { cost, costOfRow, paid } from './price.mjs'

const ascending = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Each answer whose usage the stand-in sent was charged exactly usage × price, and nothing else was charged;
 * then the auditor agrees. `rows` are all usage rows that belong to `records`.
 */
export async function proveExact(system, records, rows) {
  const expected = records.filter(record => record.usage_sent).map(record => cost(record.usage)).sort(ascending)
  const charged = rows.map(paid).filter(amount => amount > 0n).sort(ascending)
  assert.deepEqual(charged, expected, 'what was charged is what the recorder saw × price')
  await system.check()
}

/** A row that ended early was charged what its own counts cost, and counts no more than was sent. */
export function proveEarly(row, record) {
  assert.equal(paid(row), costOfRow(row), 'charged by its own counts')
  assert.ok(row.output <= record.chunks_sent + 2, `${row.output} output tokens charged, ${record.chunks_sent} chunks sent`)
}
