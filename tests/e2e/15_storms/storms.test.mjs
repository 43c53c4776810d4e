// Clients that mean harm, and more load than there is room for: the others notice nothing, memory stays bounded,
// what cannot be served is refused. Figures that have time in them are in the long part only.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { Authority } from '../lib/certificates.mjs'
import { load, queuedKib, rssKib, storm } from '../lib/load.mjs'
import { long } from '../lib/paths.mjs'
import { freePort, sleep, start, until } from '../lib/processes.mjs'
import { chat, exchange, open, post, statusOf } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const ATTACKERS = long ? 2000 : 400
const READERS = 2000
const KIB_EACH = 64
const CONSTANT_KIB = 4096
const KERNEL_KIB_EACH = 256
const ROUNDS = 5
const KINDS = ['idle', 'head', 'body', 'read', 'hello']
const pin = (pid, core) => execFileSync('taskset', ['-acp', String(core), String(pid)])
const median = values => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]
/** Goes before whatever else wants its core. */
const prefer = pid => execFileSync('chrt', ['-a', '-f', '-p', '1', String(pid)])
const nobody = { connect: 0, closed: 0, malformed: 0, statuses: {} }

let system, key, tlsPort
before(async () => {
  const own = new Authority('storms').issue('edge', 'DNS:localhost,IP:127.0.0.1')
  tlsPort = await freePort()
  system = await System.start({
    models: ['mock-c5', 'mock-c100000-g500', 'mock-c200-g10'],
    config: {
      edge: 'shards = 1', state: 'map = "128MiB"',
      listener: `[[edge.listener]]\naddress = "127.0.0.1:${tlsPort}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
    },
    mockArgs: ['--records', '0', '--keep-bodies', '0'],
  })
  key = await system.customer('healthy', { credit: '1000000' })
  if (long) {
    // What the shard costs the healthy is seen, not how long attackers on their core let them wait.
    pin(system.shards()[0], 1)
    for (const pid of [system.mock.child.pid, system.reconciler.pid]) pin(pid, 0)
    prefer(system.mock.child.pid)
  }
  // Pools and frames fill.
  await healthy(1).result
})
after(() => system?.stop())

const healthy = (seconds, more = {}) => {
  const driver = load('requests', system.port, { key, model: 'mock-c5', connections: 8, rate: 300, seconds, ...more })
  if (long) {
    pin(driver.pid, 0)
    prefer(driver.pid)
  }
  return driver
}
const attack = (kind, seconds, more = {}) => {
  const attackers = storm(kind, kind === 'hello' ? tlsPort : system.port,
    { key, model: 'mock-c100000-g500', connections: ATTACKERS, seconds, interval: 0.5, ...more })
  if (long) pin(attackers.pid, 0)
  return attackers
}

/** All that the storms and streams held has been given back, and the books are right. */
async function calm(which = system) {
  await until(async () => (await which.wallet('healthy')).held === 0n, 'all holds to be closed', 20_000, 50)
  await until(async () => (await which.mock.recorder('?limit=0')).open === 0, 'the provider to be at rest', 20_000, 50)
  await which.check()
}

/** The most that the shard's memory grew while `running` did, in KiB, sampled; and the samples. */
async function growth(before, running, which = system) {
  const samples = []
  let over = false
  running.then(() => { over = true }, () => { over = true })
  while (!over) {
    samples.push(rssKib(which.shards()[0]) - before)
    await sleep(100)
  }
  return { most: Math.max(...samples), samples }
}

function assertServed({ errors, good }, least) {
  assert.deepEqual(errors, nobody)
  assert.ok(good >= least, `${good} answers, at least ${least}`)
}

describe('attackers that are slow', () => {
  const together = long ? KINDS.map(kind => [kind]) : [KINDS]
  for (const kinds of together) {
    test(`${ATTACKERS} each: ${kinds.join(', ')}`, { timeout: 120_000 }, async () => {
      const seconds = long ? 12 : 4
      const before = rssKib(system.shards()[0])
      const calmLatency = long ? (await healthy(5).result).latency_us.p99 : Infinity
      const storms = kinds.map(kind => attack(kind, seconds, { ramp: long ? 4 : 1 }))
      await sleep(700)
      const traffic = healthy(seconds - 1.5)
      const { most } = await growth(before, Promise.all(storms.map(each => each.result)))
      const seen = await traffic.result
      assertServed(seen, 200 * (seconds - 2))
      for (const each of storms) assert.equal((await each.result).refused, 0)
      assert.ok(most <= kinds.length * ATTACKERS * KIB_EACH + CONSTANT_KIB, `${most} KiB for ${kinds.length * ATTACKERS}`)
      if (long) {
        console.log(`${kinds[0]}: p99 ${seen.latency_us.p99} µs, before ${calmLatency} µs; ${(most / ATTACKERS).toFixed(1)} KiB each`)
        assert.ok(seen.latency_us.p99 <= 2 * calmLatency, `p99 ${seen.latency_us.p99} µs, before ${calmLatency}`)
      }
      await calm()
    })
  }

  for (const [mode, what] of [['-H', 'slow heads'], ['-B', 'slow bodies'], ['-X', 'slow reads']]) {
    test(`slowhttptest: ${what}`, { skip: !long, timeout: 60_000 }, async () => {
      const before = rssKib(system.shards()[0])
      const tool = start('/usr/bin/slowhttptest', [mode, '-c', '1000', '-r', '500', '-i', '2', '-l', '12', '-p', '3', '-v', '1', '-k', '5',
        '-u', `http://127.0.0.1:${system.port}/v1/models`], { pipe: true })
      let said = ''
      tool.stdout.on('data', data => { said += data })
      await sleep(1000)
      const traffic = healthy(8)
      const { most } = await growth(before, tool.ended)
      assertServed(await traffic.result, 1500)
      assert.match(said, /service available:\S*\s+\S*YES/)
      assert.doesNotMatch(said, /service available:\S*\s+\S*NO/)
      assert.ok(most <= 1000 * KIB_EACH + CONSTANT_KIB, `${most} KiB`)
      await calm()
    })
  }

  test('a shard full of idle connections serves those who ask', { timeout: 60_000 }, async () => {
    const crowd = await System.start({ models: ['mock-c5'], config: { limits: 'connections_per_shard = 100' } })
    try {
      const own = await crowd.customer('late')
      const idle = storm('idle', crowd.port, { connections: 300, seconds: 5, again: 'yes', interval: 0.2 })
      await sleep(2500)
      for (let i = 0; i < 10; i += 1) {
        const answer = await exchange(crowd.port, post(PATH, chat('mock-c5'), { key: own }), { ms: 3000 })
        assert.equal(answer.status, 200, answer.text)
      }
      idle.kill('SIGTERM')
      assert.ok((await idle.result).ended > 0)
    } finally { await crowd.stop() }
  })
})

test(`${READERS} slow readers of endless streams: memory is bounded and flat, the others are served`, { timeout: 400_000 }, async () => {
  const seconds = long ? 180 : 10
  // Until everything on the way to the readers is full, all streams together are a load as no providers make.
  const own = await System.start({
    models: ['mock-c5', 'mock-c100000-s2000-g0'], mockArgs: ['--records', '0', '--keep-bodies', '0'],
    config: { edge: 'shards = 1', state: 'map = "128MiB"', limits: 'queue_wait = "0"' },
  })
  try {
    const ownKey = await own.customer('healthy', { credit: '1000000' })
    const steady = { key: ownKey, model: 'mock-c5', connections: 8, rate: 300 }
    await load('requests', own.port, { ...steady, seconds: 1 }).result
    const before = rssKib(own.shards()[0])
    // One that takes less than its window in write_stall is cut off: in the long run they take a little more, some so
    // little that the kernel tells of room once in that time, others so much that it does every few seconds.
    const paces = long ? [500, 4000] : [1]
    const readers = Promise.all(paces.map(bytes => storm('read', own.port, {
      key: ownKey, model: 'mock-c100000-s2000-g0', connections: READERS / paces.length, seconds, ramp: 3, interval: 1, 'read-bytes': bytes,
    }).result))
    const watched = growth(before, readers, own)
    await until(async () => (await own.mock.recorder('?limit=0')).open === READERS, 'all streams to be open', 8000, 50)
    const traffic = load('requests', own.port, { ...steady, seconds: seconds - 6.5 })
    await sleep(2000)
    const queued = [queuedKib('local', own.port), queuedKib('peer', own.mock.port)]
    const { most, samples } = await watched
    assertServed(await traffic.result, 500)
    const seen = await readers
    const sum = what => seen.reduce((all, one) => all + one[what], 0)
    assert.deepEqual({ still: sum('open'), refused: sum('refused') }, { still: READERS, refused: 0 })
    const half = Math.floor(samples.length / 2)
    const [early, late] = [samples.slice(0, half), samples.slice(half)].map(part => Math.max(...part))
    const [unsent, unread] = queued.map(kib => kib / READERS)
    console.log(`${READERS} readers: ${(most / READERS).toFixed(1)} KiB each; the kernel for each ${unsent.toFixed(1)} KiB unsent, ` +
      `${unread.toFixed(1)} KiB unread; first half ${early} KiB, second ${late} KiB`)
    assert.ok(most <= READERS * KIB_EACH + CONSTANT_KIB, `${most} KiB for ${READERS}`)
    assert.ok(unsent <= KERNEL_KIB_EACH && unread <= KERNEL_KIB_EACH, `${unsent} and ${unread} KiB in the kernel for each`)
    // In ten seconds they are just full.
    if (long) assert.ok(late <= early + CONSTANT_KIB, `${early} KiB, later ${late} KiB`)
    await calm(own)
  } finally { await own.stop() }
})

test('no descriptors left: open streams go on, the others wait or are told, and all is well afterwards', { timeout: 60_000 }, async () => {
  const [shard] = system.shards()
  const descriptors = () => readdirSync(`/proc/${shard}/fd`).length
  const limit = count => execFileSync('prlimit', ['--pid', String(shard), `--nofile=${count}:20000`])
  const ask = socket => {
    socket.bytes = ''
    socket.write(post(PATH, chat('mock-c200-g10'), { key }))
    return until(() => statusOf(socket.bytes), 'an answer', 10_000)
  }
  const kept = await open(system.port)
  kept.write(post(PATH, chat('mock-c5'), { key }))
  await until(() => statusOf(kept.bytes) === 200, 'the first answer')
  const stream = exchange(system.port, post(PATH, chat('mock-c200-g10', { stream: true }), { key }), { ms: 20_000 })
  await until(async () => (await system.mock.recorder('?limit=0')).open === 1, 'the stream to be open')
  await sleep(200)
  limit(descriptors() + 5)
  try {
    const crowd = await Promise.all(Array.from({ length: 30 }, () => open(system.port)))
    await sleep(300)
    // Pooled connections are used up one by one, then none can be made.
    const answers = []
    for (let i = 0; i < 3; i += 1) answers.push(exchange(system.port, post(PATH, chat('mock-c5'), { key }), { ms: 1000 }))
    const busy = [ask(kept)]
    await Promise.all(answers)
    const status = await busy[0]
    assert.ok(status === 200 || status === 503, `${status}`)
    for (const socket of crowd) socket.destroy()
  } finally { limit(20000) }
  const whole = await stream
  assert.ok(whole.text.endsWith('0\r\n\r\n') && whole.text.includes('[DONE]'), 'the stream is whole')
  kept.destroy()
  await until(async () => (await exchange(system.port, post(PATH, chat('mock-c5'), { key }), { ms: 2000 })).status === 200, 'answers again')
  assert.deepEqual(system.shards(), [shard], 'it lives')
  await calm()
})

test('a shard that is killed under load costs its own connections only', { timeout: 60_000 }, async () => {
  const pair = await System.start({ models: ['mock-ts-c40-g25'], config: { edge: 'shards = 2', state: 'map = "128MiB"' }, mockArgs: ['--records', '0'] })
  try {
    const own = await pair.customer('pair', { credit: '1000' })
    const streams = load('streams', pair.port, { key: own, model: 'mock-ts-c40-g25', connections: 80, chunks: 40, seconds: 5, ramp: 0.5 })
    await sleep(2000)
    const page = await (await fetch(`http://127.0.0.1:${pair.metricsPort}/metrics`)).text()
    const held = [...page.matchAll(/^sluice_client_connections\{[^}]*\} (\d+)/gm)].map(found => Number(found[1])).filter(Boolean)
    assert.equal(held.length, 2, page)
    process.kill(pair.shards()[0], 'SIGKILL')
    const { errors, lost, repeated, good } = await streams.result
    assert.ok(errors.closed > 0 && errors.closed <= Math.max(...held), `${errors.closed} ended of ${held}`)
    assert.deepEqual({ ...errors, closed: 0 }, nobody)
    assert.equal(repeated, 0)
    assert.equal(lost, 0, 'the others are whole')
    assert.ok(good > 80)
    await until(async () => (await pair.wallet('pair')).held === 0n, 'all holds to be closed', 20_000, 50)
    await pair.check()
  } finally { await pair.stop() }
})

// Edge and provider on one core, the clients and all else on the other: so it is the edge that cannot keep up. An answer
// is four megabytes: what is asked for costs far more than its refusal, as a stream of some hundred chunks does. The
// rated load is the most that clients get who wait for each answer; then ten times as many a second are asked for,
// whatever becomes of those before. Both in turns, medians: the machine is not equally fast all the time. The clients do
// not sleep: to wake them is work of the edge that a network would do.
test('ten times the rated load: as much is served as ever, the rest is refused at once', { skip: !long, timeout: 240_000 }, async () => {
  const model = 'mock-c5-bulk4000000'
  const own = await System.start({
    models: [model, 'mock-c5'], mockArgs: ['--records', '0', '--keep-bodies', '0'],
    config: { edge: 'shards = 1', state: 'map = "256MiB"', ledger: 'max_undrained = "1000 USD"' },
  })
  try {
    const ownKey = await own.customer('healthy', { credit: '1000000' })
    pin(own.shards()[0], 0)
    pin(own.mock.child.pid, 0)
    prefer(own.mock.child.pid)
    pin(own.reconciler.pid, 1)
    const ask = async (clients, more = {}) => {
      const driver = load('requests', own.port, { key: ownKey, model, connections: clients, seconds: 5, spin: 'yes', 'kernel-time': 'yes', ...more })
      pin(driver.pid, 1)
      const seen = await driver.result
      assert.deepEqual({ ...seen.errors, statuses: {} }, nobody)
      console.log(`${clients} clients, ${more.rate ? `${Math.round(more.rate)}/s` : 'each waits'}: ${Math.round(seen.good_per_s)}/s served, ` +
        `p99 ${seen.latency_us.p99} µs; ${Math.round(seen.refused_per_s)}/s refused, p50 ${seen.refused_us.p50} p99 ${seen.refused_us.p99} µs`)
      return seen
    }
    const rated = { 4: [], 8: [], 16: [] }
    const peak = () => Math.max(...Object.values(rated).map(median))
    const beyond = []
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const clients of Object.keys(rated).map(Number)) {
        const seen = await ask(clients, { seconds: 2, warmup: 1 })
        assert.deepEqual(seen.errors.statuses, {})
        rated[clients].push(seen.good_per_s)
      }
      // Not all at the same moment: a thousand answers at once are another test.
      const seen = await ask(1000, { rate: 10 * peak(), backoff: 1e-6, ramp: 3, warmup: 2 })
      assert.deepEqual(Object.keys(seen.errors.statuses), ['503'])
      assert.ok(seen.good_per_s + seen.refused_per_s >= 9 * peak(), 'that much was asked for')
      beyond.push(seen)
    }
    const served = median(beyond.map(seen => seen.good_per_s)) / peak()
    const refused = median(beyond.map(seen => seen.refused_us.p50))
    console.log(`${(100 * served).toFixed(1)} % of the peak`)
    assert.ok(served >= 0.9, `${(100 * served).toFixed(1)} % of the peak`)
    assert.ok(refused <= 5000, `refused in ${refused} µs`)
    await sleep(2000)
    const after = await load('requests', own.port, { key: ownKey, model: 'mock-c5', connections: 8, seconds: 1 }).result
    assert.deepEqual(after.errors, nobody)
    await calm(own)
  } finally { await own.stop() }
})

test('16,000 streams at once: held, and nothing of them is lost', { skip: !long, timeout: 120_000 }, async () => {
  const streams = 16_000
  const own = await System.start({
    models: ['mock-ts-c1000-g1000'], mockArgs: ['--records', '0', '--keep-bodies', '0'],
    config: { edge: 'shards = 2', state: 'map = "512MiB"', limits: 'connections_per_shard = 9000', ledger: 'max_undrained = "1000 USD"' },
  })
  try {
    const ownKey = await own.customer('healthy', { credit: '1000000' })
    const before = own.shards().map(rssKib)
    const driver = load('streams', own.port, { key: ownKey, model: 'mock-ts-c1000-g1000', connections: streams, ramp: 14, seconds: 8 })
    let kib = 0
    let most = 0
    for (let over = false; !over;) {
      most = Math.max(most, (await own.mock.recorder('?limit=0')).open)
      if (most === streams) kib = own.shards().reduce((sum, pid, at) => sum + rssKib(pid) - before[at], 0)
      over = await Promise.race([driver.ended.then(() => true), sleep(500).then(() => false)])
    }
    const { errors, lost, repeated, chunks, delay_us: delay } = await driver.result
    assert.deepEqual(errors, nobody, `${most} open, ${chunks} chunks`)
    assert.equal(most, streams)
    console.log(`${streams} streams: ${(kib / streams).toFixed(1)} KiB each; chunk delay p99 ${delay.p99} µs`)
    assert.equal(lost + repeated, 0)
    assert.ok(chunks > streams * 5)
    await calm(own)
  } finally { await own.stop() }
})
