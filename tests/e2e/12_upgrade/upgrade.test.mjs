// Another program takes the edge over under load (row 19 of the state machine): nobody notices.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createServer } from 'node:net'
import { copyFileSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { load } from '../lib/load.mjs'
import { long, program } from '../lib/paths.mjs'
import { sleep, until } from '../lib/processes.mjs'
import { chat, exchange, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const UPGRADES = long ? 20 : 4
const STREAMS = long ? 1000 : 200
const SHARDS = 2
let system
let key

/** Puts another copy of the program where the edge was started from, as a package manager does. */
function install(name) {
  const copy = system.file(`sluice-edge.${name}`)
  copyFileSync(program('sluice-edge'), copy)
  symlinkSync(copy, system.file('next'))
  renameSync(system.file('next'), system.edgeProgram)
  return copy
}

before(async () => {
  system = await System.start({
    models: ['mock-c5', 'mock-c40-g25', 'mock-c200-g50'],
    config: { edge: `shards = ${SHARDS}`, timeouts: 'drain = "1s"\nupgrade_drain = "30s"', state: 'map = "128MiB"' },
    mockArgs: ['--records', '0', '--keep-bodies', '0'], edge: false,
  })
  system.edgeProgram = system.file('sluice-edge')
  install('first')
  await system.startEdge()
  key = await system.customer('upgrades', { credit: '10000' })
  await until(answers, 'the first answer')
})
after(() => system?.stop())

const answers = async () => {
  try {
    return (await exchange(system.port, post('/v1/chat/completions', chat('mock-c5'), { key }), { ms: 1000 })).status === 200
  } catch { return false }
}

const runs = pid => readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0]
const edgeLog = () => readFileSync(system.file('edge.log'), 'utf8')

/** Asks for an upgrade; the shards of before it, once as many new ones serve. */
async function upgrade() {
  const old = system.shards()
  const served = edgeLog().split(' serves; ').length
  process.kill(system.edge.pid, 'SIGUSR2')
  await until(() => edgeLog().split(' serves; ').length > served, 'the new shards to serve', 15_000)
  return old
}

const gone = pids => until(() => { const now = system.shards(); return pids.every(pid => !now.includes(pid)) }, 'the old shards to finish', 30_000)

test(`${UPGRADES} upgrades under ${STREAMS} streams and steady requests: nothing is refused, reset or lost`, { timeout: 300_000 }, async () => {
  const seconds = UPGRADES * 2.5 + 3
  const drivers = [
    load('requests', system.port, { key, seconds, connections: 8, model: 'mock-c5' }),
    load('streams', system.port, { key, seconds, connections: STREAMS, model: 'mock-c40-g25', ramp: 1 }),
  ]
  await sleep(1500)
  for (let round = 1; round <= UPGRADES; round += 1) {
    const copy = install(String(round))
    const old = await upgrade()
    assert.equal(runs(system.edge.pid), system.edgeProgram, 'the process id stays, and how it was called')
    assert.equal(readFileSync(`/proc/${system.edge.pid}/maps`, 'utf8').includes(copy), true, 'it runs the new file')
    await gone(old)
    assert.equal(system.shards().length, SHARDS)
  }
  for (const driver of drivers) {
    const { errors, lost, repeated, good } = await driver.result
    assert.deepEqual(errors, { connect: 0, closed: 0, malformed: 0, statuses: {} })
    assert.equal(lost + repeated, 0)
    assert.ok(good > UPGRADES, 'the load was real')
  }
  await until(async () => (await system.wallet('upgrades')).held === 0n, 'all holds to be closed', 30_000, 100)
  await system.check()
})

test('a program that refuses its configuration does not take over', async () => {
  const good = readFileSync(system.configFile, 'utf8')
  const before = system.shards()
  writeFileSync(system.configFile, good.replace('[limits]', '[limits]\nno_such_limit = 1'))
  process.kill(system.edge.pid, 'SIGUSR2')
  await until(() => edgeLog().includes('going on as before'), 'the refusal in the log')
  assert.deepEqual(system.shards(), before)
  assert.equal(await answers(), true)
  writeFileSync(system.configFile, good)
})

test('a program that cannot have a port of its configuration does not take over', async () => {
  const good = readFileSync(system.configFile, 'utf8')
  const before = system.shards()
  const other = createServer()
  await new Promise(done => other.listen(0, '127.0.0.1', done))
  writeFileSync(system.configFile, good.replace('[state]', `[[edge.listener]]\naddress = "127.0.0.1:${other.address().port}"\n[state]`))
  process.kill(system.edge.pid, 'SIGUSR2')
  await until(() => edgeLog().includes(`cannot listen on 127.0.0.1:${other.address().port}`), 'the refusal in the log')
  await until(() => edgeLog().split('going on as before').length === 3, 'the old program to go on')
  other.close()
  assert.deepEqual(system.shards(), before)
  assert.equal(await answers(), true)
  writeFileSync(system.configFile, good)
})

test('the new configuration is in force, and what it no longer has ends with the old shards', async () => {
  const good = readFileSync(system.configFile, 'utf8')
  writeFileSync(system.configFile, good.replace('shards = 2', 'shards = 1'))
  await gone(await upgrade())
  assert.equal(system.shards().length, 1)
  assert.equal(await answers(), true)
  writeFileSync(system.configFile, good)
  await gone(await upgrade())
  assert.equal(system.shards().length, SHARDS)
})

test('a stop while old shards still drain ends all of them, and every hold is closed', async () => {
  const stream = exchange(system.port, post('/v1/chat/completions', chat('mock-c200-g50', { stream: true }), { key }), { ms: 20_000 }).catch(() => null)
  await until(async () => (await system.wallet('upgrades')).held > 0n, 'a stream that is open', 5000)
  const old = await upgrade()
  assert.ok(old.some(pid => system.shards().includes(pid)), 'an old shard still has its stream')
  const all = system.shards()
  process.kill(system.edge.pid, 'SIGTERM')
  await system.edge.ended
  await stream
  assert.ok(all.every(pid => { try { process.kill(pid, 0); return false } catch { return true } }))
  await until(async () => (await system.wallet('upgrades')).held === 0n, 'the hold to be closed', 10_000, 100)
  await system.check()
})
