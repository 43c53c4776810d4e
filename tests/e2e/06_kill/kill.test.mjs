// kill -9 of a shard, the supervisor, the reconciler or all of them, under load, again and again: the books stay right.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { writeFileSync } from 'node:fs'
import { cost, paid } from '../lib/price.mjs'
import { long, program } from '../lib/paths.mjs'
import { sleep, start, stop, until } from '../lib/processes.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const ROUNDS = long ? 300 : 50
const MODELS = ['mock-c5', 'mock-l10-c6', 'mock-c40-g5', 'mock-c30-g3-t3']
let system
let load = []
before(async () => {
  system = await System.start({ models: MODELS, config: { edge: 'shards = 2' }, mockArgs: ['--records', '1000000', '--keep-bodies', '0'] })
})
after(async () => {
  await Promise.all(load.map(child => stop(child, 500)))
  await system?.stop()
})

/** The same victims in the same order at each run: a small generator with a fixed seed. */
function generator(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function drive(mode, key, ...more) {
  return start(program('sluice-load'), [mode, '--target', `127.0.0.1:${system.port}`, '--key', key, '--seconds', '1200', ...more])
}

const answers = key => async () => {
  try {
    return (await exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key }), { ms: 1000 })).status === 200
  } catch { return false }
}

const kills = {
  async shard(random) {
    const shards = system.shards()
    const victim = shards[Math.floor(random() * shards.length)]
    process.kill(victim, 'SIGKILL')
    await until(() => { const now = system.shards(); return now.length === 2 && !now.includes(victim) }, 'a new shard', 10_000)
  },
  async supervisor() {
    const orphans = system.shards()
    process.kill(system.edge.pid, 'SIGKILL')
    await system.edge.ended
    await until(() => orphans.every(pid => { try { process.kill(pid, 0); return false } catch { return true } }),
      'the shards of a dead supervisor to finish', 10_000)
    await system.startEdge()
  },
  async reconciler() {
    process.kill(system.reconciler.pid, 'SIGKILL')
    await system.reconciler.ended
    system.startReconciler()
  },
  async everything() {
    const all = [...system.shards(), system.edge.pid, system.reconciler.pid]
    for (const pid of all) process.kill(pid, 'SIGKILL')
    await Promise.all([system.edge.ended, system.reconciler.ended])
    system.startReconciler()
    await system.startEdge()
  },
}

test(`${ROUNDS} kills under load, then nothing is missing and nothing is open`, { timeout: long ? 1_800_000 : 600_000 }, async () => {
  const key = await system.customer('load', { credit: '1000' })
  const probe = answers(key)
  await system.mock.mark()
  load = [
    drive('requests', key, '--connections', '4', '--model', 'mock-l10-c6'),
    drive('streams', key, '--connections', '30', '--model', 'mock-c40-g5'),
    drive('streams', key, '--connections', '10', '--model', 'mock-c30-g3-t3', '--abort-after', '9'),
  ]
  const random = generator(20261122)
  const names = Object.keys(kills)
  for (let round = 1; round <= ROUNDS; round += 1) {
    await sleep(30 + random() * 200)
    const victim = names[Math.floor(random() * names.length)]
    await kills[victim](random)
    await until(probe, `a good answer after kill ${round} (${victim})`, 15_000)
    if (round % 10 === 0) await system.check()
  }
  await Promise.all(load.map(child => stop(child, 500)))
  await until(async () => (await system.wallet('load')).held === 0n, 'all holds to be closed', 30_000, 100)
  await until(async () => (await system.mock.recorder('?limit=0')).open === 0, 'the provider to be at rest')
  await system.check()

  const rows = await system.usage('--customer', 'load')
  const wallet = await system.wallet('load')
  const total = rows.reduce((sum, row) => sum + paid(row), 0n)
  assert.equal(wallet.charged + wallet.excess, total, 'the wallet paid what the rows say')
  assert.equal(wallet.available, 1_000_000_000_000n - total)

  // Every answer that ended in order on both sides is charged what was claimed; each claim is used once.
  const { records } = await system.mock.recorder(`?since=${system.mock.last}`)
  const claims = new Map()
  for (const record of records) {
    if (!record.usage_sent) continue
    const amount = String(cost(record.usage))
    claims.set(amount, (claims.get(amount) ?? 0) + 1)
  }
  let finished = 0
  for (const row of rows.filter(one => one.end === 'finished' && paid(one) > 0n)) {
    finished += 1
    const amount = String(paid(row))
    assert.ok(claims.get(amount) > 0, `a finished row charged ${amount}, which the recorder did not claim (any more)`)
    claims.set(amount, claims.get(amount) - 1)
  }
  assert.ok(finished > ROUNDS, `the load was real: ${finished} finished requests`)
  const worst = records.reduce((sum, record) => sum + cost({ ...record.usage, input: record.usage.input + 200, output: record.usage.output + 10 }), 0n)
  assert.ok(total <= worst, 'all that was charged was asked of the provider')
  writeFileSync(system.file('summary.json'), JSON.stringify({ rounds: ROUNDS, rows: rows.length, finished }))
})
