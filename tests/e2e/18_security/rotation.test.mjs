// Peppers, sealing keys and provider keys are exchanged while the node serves: nothing is refused meanwhile, and what
// was retired is of no use any more.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { stop, until } from '../lib/processes.mjs'
import { chat, exchange, open, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const SHARDS = 2

/** Statuses of the key, asked on connections that stay open: so that each shard gets some. */
async function statuses(system, key, count = 8) {
  const held = []
  for (let i = 0; i < count; i += 1) {
    const socket = await open(system.port)
    socket.write(post(PATH, chat('mock-c5'), { key }))
    await until(() => /\r\n\r\n/.test(socket.bytes), 'an answer')
    held.push(socket)
  }
  held.forEach(socket => socket.destroy())
  return [...new Set(held.map(socket => Number(socket.bytes.slice(9, 12))))]
}

/** A stream of about 3 s; `whole` says how it ended. */
async function stream(system, key) {
  const socket = await open(system.port)
  socket.write(post(PATH, chat('mock-c60-g50', { stream: true }), { key }))
  await until(() => socket.bytes.includes('data:'), 'the first event')
  return { whole: until(() => /data: \[DONE\]\n\n\r\n0\r\n\r\n$/.test(socket.bytes), 'the last event', 20_000, 50).finally(() => socket.destroy()) }
}

async function refused(promise, pattern) {
  await assert.rejects(promise, error => {
    assert.match(error.stderr, pattern)
    assert.equal(error.stderr.trim().split('\n').length, 1, error.stderr)
    return true
  })
}

describe('the pepper', () => {
  let system, first, second

  before(async () => {
    system = await System.start({ models: ['mock-c5', 'mock-c60-g50'], config: { edge: `shards = ${SHARDS}` } })
    first = await system.customer('first', { credit: '1000' })
  })
  after(() => system?.stop())

  const lines = () => readFileSync(system.file('secrets/pepper'), 'latin1').trim().split('\n')
  const retire = (version, ...more) => system.cli('secret', 'retire', 'pepper', '--version', String(version), ...more)

  test('a new one is in force at once, and keys of the old one go on; a stream is not disturbed', { timeout: 60_000 }, async () => {
    const running = await stream(system, first)
    const made = await system.cli('secret', 'rotate', 'pepper')
    assert.deepEqual(made, { kind: 'pepper', version: 2, newest: true, used_by: 0 })
    assert.equal(lines().length, 2)
    assert.equal(statSync(system.file('secrets/pepper')).mode & 0o777, 0o400)
    second = await system.customer('second', { credit: '1000' })
    assert.deepEqual(await statuses(system, second), [200])
    assert.deepEqual(await statuses(system, first), [200])
    assert.deepEqual(await statuses(system, 'sk-nobody-has-this-key-at-all'), [401])
    const peppers = Object.fromEntries((await system.cli('key', 'list')).map(key => [key.customer, key.pepper]))
    assert.deepEqual(peppers, { first: 1, second: 2 })
    const listed = (await system.cli('secret', 'list')).filter(secret => secret.kind === 'pepper')
    assert.deepEqual(listed.map(secret => [secret.version, secret.newest, secret.used_by]), [[2, true, 1], [1, false, 1]])
    await running.whole
  })

  test('one that live keys need is not retired, the newest never', async () => {
    await refused(retire(1), /1 live keys need pepper 1: replace them first/)
    await refused(retire(2, '--force'), /version 2 is the newest: rotate first/)
    await refused(retire(9), /version 9: not found/)
    await refused(system.cli('secret', 'rotate', 'salt'), /'salt': must be pepper or sealing-key/)
    assert.equal(lines().length, 2)
  })

  test('the file is backup enough: an edge that starts with it knows both', async () => {
    await stop(system.edge)
    await system.startEdge()
    assert.deepEqual(await statuses(system, first), [200])
    assert.deepEqual(await statuses(system, second), [200])
  })

  test('a file that is not sound changes nothing', async () => {
    const sound = readFileSync(system.file('secrets/pepper'))
    const goesOn = () => readFileSync(system.file('edge.log'), 'utf8').split('goes on with what it has').length - 1
    const before = goesOn()
    try {
      writeFileSync(system.file('secrets/pepper'), '2 not a key\n', { mode: 0o400 })
      process.kill(system.edge.pid, 'SIGHUP')
      await until(() => goesOn() === before + SHARDS, 'both shards to refuse')
    } finally { writeFileSync(system.file('secrets/pepper'), sound) }
    assert.deepEqual(await statuses(system, first), [200])
    assert.deepEqual(await statuses(system, second), [200])
  })

  test('when no live key needs it any more it goes, and its keys with it', async () => {
    await system.cli('key', 'set', '--customer', 'first', '--name', 'main', '--no-enable')
    const running = await stream(system, second)
    await retire(1)
    assert.equal(lines().length, 1)
    await system.cli('key', 'set', '--customer', 'first', '--name', 'main', '--enable')
    assert.deepEqual(await statuses(system, first), [401])
    assert.deepEqual(await statuses(system, second), [200])
    await running.whole
  })

  test('with --force also while keys need it', async () => {
    await system.cli('secret', 'rotate', 'pepper')
    const third = await system.customer('third', { credit: '10' })
    await refused(retire(2), /1 live keys need pepper 2/)
    await retire(2, '--force')
    assert.deepEqual(await statuses(system, second), [401])
    assert.deepEqual(await statuses(system, third), [200])
  })

  test('while no edge runs it is there at the next start', async () => {
    await stop(system.edge)
    await system.cli('secret', 'rotate', 'pepper')
    const fourth = await system.customer('fourth', { credit: '10' })
    await system.startEdge()
    assert.deepEqual(await statuses(system, fourth), [200])
    await system.check()
  })
})

describe('the sealing key and provider keys', () => {
  const OLD = 'sk-upstream-old-5a11', NEW = 'sk-upstream-new-77c2'
  let system, key

  before(async () => {
    system = await System.start({ models: ['mock-c5', 'mock-c60-g50'], config: { edge: `shards = ${SHARDS}` } })
    await system.apply(system.catalogToml(['mock-c5', 'mock-c60-g50'], '', {}).replace(/secret = "[^"]*"/g, `secret = "${OLD}"`))
    key = await system.customer('user', { credit: '1000' })
    process.env.SLUICE_TEST_PROVIDER_KEY = NEW
  })
  after(async () => {
    delete process.env.SLUICE_TEST_PROVIDER_KEY
    await system?.stop()
  })

  const secrets = async () => (await system.cli('secret', 'list')).filter(secret => secret.kind === 'sealing-key')
    .map(secret => [secret.version, secret.newest, secret.used_by])
  /** Keys that the provider has seen since the last mark. */
  const presented = async () => [...new Set((await system.mock.since()).map(record =>
    /^authorization: *bearer *(\S+)/im.exec(record.head)?.[1]))]

  test('provider keys are sealed anew, and the edge opens them all the time', { timeout: 60_000 }, async () => {
    assert.deepEqual(await secrets(), [[1, true, 3]])
    const before = readFileSync(system.file('secrets/sealing.pub'))
    await system.mock.mark()
    const running = await stream(system, key)
    const rotated = system.cli('secret', 'rotate', 'sealing-key')
    assert.deepEqual(await statuses(system, key, 16), [200])
    assert.deepEqual(await rotated, { kind: 'sealing-key', version: 2, newest: true, used_by: 3, sealed_anew: 3, not_opened: 0 })
    assert.notDeepEqual(readFileSync(system.file('secrets/sealing.pub')), before)
    assert.equal(statSync(system.file('secrets/sealing.key')).mode & 0o777, 0o400)
    assert.deepEqual(await statuses(system, key), [200])
    await running.whole
    assert.deepEqual(await presented(), [OLD])
    assert.deepEqual(await secrets(), [[2, true, 3], [1, false, 0]])
  })

  test('what an interrupted command began is finished by the next', async () => {
    const pub = readFileSync(system.file('secrets/sealing.pub'))
    await system.cli('secret', 'rotate', 'sealing-key')
    writeFileSync(system.file('secrets/sealing.pub'), pub, { mode: 0o444 })  // as if it had been killed before that
    const again = await system.cli('secret', 'rotate', 'sealing-key')
    assert.equal(again.version, 3)
    assert.deepEqual(await secrets(), [[3, true, 3], [2, false, 0], [1, false, 0]])
  })

  test('old ones are retired when nothing is sealed to them', async () => {
    await refused(system.cli('secret', 'retire', 'sealing-key', '--version', '3'), /3 provider keys are sealed to sealing key 3: rotate first/)
    for (const version of ['1', '2']) await system.cli('secret', 'retire', 'sealing-key', '--version', version)
    assert.deepEqual(await secrets(), [[3, true, 3]])
    assert.deepEqual(await statuses(system, key), [200])
    await stop(system.edge)
    await system.startEdge()
    assert.deepEqual(await statuses(system, key), [200])
  })

  test('a provider key is exchanged with overlap: running streams keep theirs', { timeout: 60_000 }, async () => {
    await system.mock.mark()
    const running = await stream(system, key)
    await system.cli('provider', 'set', 'openai', '--key-name', 'next', '--key-env', 'SLUICE_TEST_PROVIDER_KEY')
    await system.cli('provider', 'set', 'openai', '--key-name', 'main', '--no-key-enable')
    await system.mock.mark()
    assert.deepEqual(await statuses(system, key), [200])
    await running.whole
    assert.deepEqual((await presented()).filter(Boolean).sort().filter(name => name !== OLD), [NEW])
    const [openai] = (await system.cli('provider', 'list')).filter(provider => provider.name === 'openai')
    assert.match(openai.keys, /main:5a11\(off\)/)
    assert.match(openai.keys, /next:77c2/)
    await system.check()
  })
})
