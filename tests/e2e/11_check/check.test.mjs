// sluice check, as an operator runs it: silent while all holds, one line that names what and where when not.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { stop, until } from '../lib/processes.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

let system
let key
before(async () => {
  system = await System.start({ models: ['mock-c5'] })
  key = await system.customer('acme')
})
after(() => system?.stop())

const send = () => exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key }))

/** A statement past all code that keeps the ledger right. */
function sql(statement) {
  execFileSync('python3', ['-c', 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as db: db.execute(sys.argv[2])',
    system.file('ledger.db'), statement])
}

async function finds(pattern) {
  const error = await system.check().then(() => assert.fail('nothing was found'), problem => problem)
  assert.equal(error.code, 1)
  assert.match(error.stderr, pattern)
  assert.equal(error.stderr.trim().split('\n').length, 1, `one line, not:\n${error.stderr}`)
  const report = JSON.parse(error.stdout)
  assert.equal(report.ok, false)
  for (const finding of report.findings) assert.equal(finding.ok, finding.where === '', JSON.stringify(finding))
}

test('nothing is wrong while requests run', async () => {
  let running = true
  const load = Promise.all(Array.from({ length: 8 }, async () => {
    while (running) assert.equal((await send()).status, 200)
  }))
  for (let i = 0; i < 30; i += 1) await system.check()
  running = false
  await load
  assert.ok((await system.usageOf('acme', 30)).length >= 30, 'there was something to check')
})

test('a nano too much in an account is named', async () => {
  sql("UPDATE account SET credits = credits + 1 WHERE name = 'revenue'")
  await finds(/^sluice: check: I8: .*: ledger account revenue: posted debits 0 credits \d+, of its entries/)
  sql("UPDATE account SET credits = credits - 1 WHERE name = 'revenue'")
  await system.check()
})

test('a damaged wallet is named', async () => {
  await until(async () => (await system.wallet('acme')).held === 0n, 'the wallet to be at rest')
  await stop(system.edge)
  await stop(system.reconciler)
  await system.check()
  const file = join(system.state, 'current', 'data.mdb')
  const data = readFileSync(file)
  // Version 2, kind 3, 112 bytes: the wallet's record, and what older pages still have of it.
  const header = Buffer.from([2, 3, 112, 0])
  let copies = 0
  for (let at = data.indexOf(header); at >= 0; at = data.indexOf(header, at + 4)) {
    data[at + 40] ^= 1
    copies += 1
  }
  assert.ok(copies > 0)
  writeFileSync(file, data)
  await finds(/^sluice: check: .*: shared state, table accounts: the record with key 0{15}1\d* is damaged/)
})
