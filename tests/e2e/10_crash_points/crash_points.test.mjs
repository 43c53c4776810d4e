// Every crash point of a short life, one after the other: the real program dies there (SLUICE_CRASH_AT), another
// takes over, and the books are right. Each round: a victim that dies at point n, a scenario, then the same programs
// without the variable, and the auditor.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { join } from 'node:path'
import { cost, paid } from '../lib/price.mjs'
import { sleep, start, stop, until } from '../lib/processes.mjs'
import { program } from '../lib/paths.mjs'
import { chat, open, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
// The second is longer than one slice: its hold is extended.
const MODELS = ['mock-c5', 'mock-c40-g1-t50', 'mock-c60-g2-t3']
const MOST = 400
const CRASH = 4  // a row's flag: closed for a dead shard by what its board said
let system
let key
before(async () => {
  system = await System.start({ models: MODELS, mockArgs: ['--keep-bodies', '0'] })
  key = await system.customer('acme', { credit: '50' })
  await until(async () => (await system.wallet('acme')).available > 0n, 'the credit')
  await system.mock.mark()
})
after(() => system?.stop())

/** Sends a request and waits for its end, or until the victim has died. `leave`: gone after that many bytes. */
async function ask(model, { stream = false, leave } = {}, dead) {
  let socket
  try { socket = await open(system.port) } catch { return }
  const more = stream ? { stream: true, stream_options: { include_usage: true } } : {}
  socket.write(post(PATH, chat(model, more), { key }))
  let closed = false
  socket.ended.then(() => { closed = true })
  const deadline = Date.now() + 1500
  const whole = () => /\r\n\r\n/.test(socket.bytes) && (stream ? /\r\n0\r\n\r\n$/.test(socket.bytes) : /\}\s*$|\r\n0\r\n\r\n$/.test(socket.bytes))
  while (!closed && !whole() && Date.now() < deadline && !dead()) {
    if (leave && socket.bytes.length > leave) break
    await sleep(2)
  }
  socket.destroy()
}

/** What happens while the victim lives: the same each time, until it is dead. One request is always under way. */
async function scenario(dead) {
  const underWay = ask('mock-c60-g2-t3', { stream: true }, dead)
  await sleep(15)
  if (!dead()) await ask('mock-c5', {}, dead)
  if (!dead()) await ask('mock-c40-g1-t50', { stream: true }, dead)
  if (!dead()) await ask('mock-c60-g2-t3', { stream: true, leave: 3000 }, dead)
  if (!dead()) await ask('mock-c5', {}, dead)
  await underWay
}

const restarts = () => readFileSync(system.file('edge.log'), 'utf8').split('starting it again').length - 1

/** All is closed and drained, and the auditor agrees. */
async function rest(what) {
  await until(async () => (await system.wallet('acme').catch(() => null))?.held === 0n, `${what}: no hold left`, 15_000, 20)
  await system.check().catch(error => { throw new Error(`${what}: ${error.message}\n${error.stdout}\n${system.logs()}`) })
}

async function withEdge(n) {
  await stop(system.edge)
  const before = restarts()
  system.edge = start(program('sluice-edge'), ['--config', system.configFile],
    { log: system.file('edge.log'), env: { SLUICE_CRASH_AT: String(n) } })
  const dead = () => restarts() > before || system.edge.exitCode !== null
  await until(async () => dead() || await answers(), 'the edge', 10_000, 5)
  await scenario(dead)
  const fired = dead()
  await stop(system.edge)
  await system.startEdge()
  return fired
}

async function answers() {
  const page = await fetch(`http://127.0.0.1:${system.metricsPort}/readyz`).catch(() => null)
  await page?.arrayBuffer()
  return page?.status === 200
}

let credits = 0
async function withReconciler(n) {
  await stop(system.reconciler)
  system.reconciler = start(program('sluice-reconciler'), ['--config', system.configFile],
    { log: system.file('reconciler.log'), env: { SLUICE_CRASH_AT: String(n) } })
  const dead = () => system.reconciler.exitCode !== null || system.reconciler.signalCode !== null
  await scenario(dead)
  if (!dead()) {
    await system.cli('credit', 'add', '--customer', 'acme', '--amount', '0.01').then(() => { credits += 1 }, () => {})
    await sleep(150)
  }
  const fired = dead()
  if (!fired) await stop(system.reconciler)
  system.startReconciler()
  await until(answers, 'the edge', 10_000, 5)
  return fired
}

/** The machine went down between two lives: a new epoch is built. */
async function withNewEpoch(n) {
  await stop(system.edge)
  await stop(system.reconciler)
  for (const name of readdirSync(system.state)) rmSync(join(system.state, name), { recursive: true })
  system.reconciler = start(program('sluice-reconciler'), ['--config', system.configFile],
    { log: system.file('reconciler.log'), env: { SLUICE_CRASH_AT: String(n) } })
  const dead = () => system.reconciler.exitCode !== null || system.reconciler.signalCode !== null
  const serving = () => readFileSync(system.file('reconciler.log'), 'utf8').trimEnd().endsWith(`in ${system.state}`)
  await until(() => dead() || serving(), 'the new epoch', 10_000, 5)
  await sleep(dead() ? 0 : 100)
  const fired = dead()
  if (!fired) await stop(system.reconciler)
  system.startReconciler()
  await system.startEdge()
  await ask('mock-c5', {}, () => false)
  return fired
}

const victims = { edge: withEdge, reconciler: withReconciler, 'reconciler that builds an epoch': withNewEpoch }

for (const [name, round] of Object.entries(victims)) {
  test(`the ${name} dies at each of its crash points`, { timeout: 120_000 }, async context => {
    let points = 0
    for (let n = 1; n < MOST; n += 1) {
      const fired = await round(n)
      await rest(`${name}, crash point ${n}`)
      if (!fired) break
      points = n
    }
    assert.ok(points > 10 && points < MOST - 1, `${points} crash points`)
    context.diagnostic(`${points} crash points`)
  })
}

test('what was charged is what the recorder saw × price, under the stated policy', async () => {
  await until(async () => (await system.mock.recorder('?limit=0')).open === 0, 'the provider to be at rest')
  const total = rows => rows.reduce((sum, row) => sum + paid(row), 0n)
  // The last row may be on its way to the ledger still.
  const rows = await until(async () => {
    const { available } = await system.wallet('acme')
    const found = await system.usage('--customer', 'acme')
    return available === 50_000_000_000n + BigInt(credits) * 10_000_000n - total(found) && found
  }, 'the rows of all that the wallet was charged', 5000, 50)
  const { records } = await system.mock.recorder(`?since=${system.mock.last}`)
  const claims = new Map()
  for (const record of records) {
    const amount = String(cost(record.usage))
    claims.set(amount, (claims.get(amount) ?? 0) + 1)
  }
  // What ended in order, and what a dead shard had already in full, is charged exactly, each claim once.
  let exact = 0
  let crash = 0
  for (const row of rows.filter(one => paid(one) > 0n)) {
    const flagged = (row.flags & CRASH) !== 0
    if (flagged) crash += 1
    if (flagged || !['finished', 'shard_died'].includes(row.end)) continue
    exact += 1
    const amount = String(paid(row))
    assert.ok(claims.get(amount) > 0, `${row.end}: charged ${amount}, which the recorder did not claim (any more)`)
    claims.set(amount, claims.get(amount) - 1)
  }
  assert.ok(exact > 50, `${exact} rows were charged exactly`)
  assert.ok(crash > 3, `${crash} rows were charged for a dead shard`)
  const worst = records.reduce((sum, record) => sum + cost({ ...record.usage, input: record.usage.input + 200, output: record.usage.output + 10 }), 0n)
  assert.ok(total(rows) <= worst, 'all that was charged was asked of the provider')
})
