// What the edge holds, and what it shows of it: certificates that change, tickets, the user that shards run as,
// secrets that are nowhere but where they belong.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, lstatSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { Authority } from '../lib/certificates.mjs'
import { long, program, root } from '../lib/paths.mjs'
import { freePort, stop, until } from '../lib/processes.mjs'
import { chat, exchange, open, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const STREAMS = long ? 1000 : 100
const USER = 'nobody'
const GROUP = 'nogroup'

/** A TLS listener with files of its own, which a test may exchange. */
function tlsListener(authority, port) {
  const first = authority.issue('first', 'DNS:localhost,IP:127.0.0.1')
  const files = { certificate: join(authority.directory, 'served.pem'), key: join(authority.directory, 'served.key') }
  copyFileSync(first.certificate, files.certificate)
  copyFileSync(first.key, files.key)
  return {
    ...files,
    toml: `[[edge.listener]]\naddress = "127.0.0.1:${port}"\ncertificate_file = "${files.certificate}"\nkey_file = "${files.key}"`,
    /** Other files in their place, each by a rename. */
    exchange(certificate, key) {
      for (const [from, to] of [[certificate, files.certificate], [key, files.key]]) {
        copyFileSync(from, `${to}.next`)
        renameSync(`${to}.next`, to)
      }
    },
  }
}

describe('certificates and tickets', () => {
  let system, authority, listener, port, key
  const edgeLog = () => readFileSync(system.file('edge.log'), 'utf8')
  const said = words => edgeLog().split(words).length - 1

  before(async () => {
    authority = new Authority('sluice security')
    port = await freePort()
    listener = tlsListener(authority, port)
    system = await System.start({
      models: ['mock-c5', 'mock-c60-g50'], mockArgs: ['--records', '0'],
      config: { edge: 'shards = 2', listener: listener.toml },
    })
    key = await system.customer('secure', { credit: '10000' })
  })
  after(() => system?.stop())

  /** A connection, once its handshake is over. */
  const connect = (options = {}) => new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.pem, ...options }, () => resolve(socket))
    socket.on('error', reject)
  })
  const servedName = async () => {
    const socket = await connect()
    const name = socket.getPeerCertificate().subject.CN
    socket.destroy()
    return name
  }

  /** A stream from its first to its last byte: whether it was whole. */
  async function stream() {
    const socket = await connect()
    let text = ''
    socket.on('data', bytes => { text += bytes.toString('latin1') })
    socket.write(post(PATH, chat('mock-c60-g50', { stream: true }), { key }))
    await until(() => text.includes('data:'), 'the first event', 20_000, 20)
    return until(() => /data: \[DONE\]\n\n\r\n0\r\n\r\n$/.test(text) && text, 'the last event', 20_000, 50).finally(() => socket.destroy())
  }

  test(`certificates are exchanged under ${STREAMS} streams: none ends early`, { timeout: 120_000 }, async () => {
    assert.equal(await servedName(), 'first')
    const streams = []
    for (let i = 0; i < STREAMS; i += 1) streams.push(stream())
    await until(async () => (await system.wallet('secure')).held > 0n, 'streams to be open')
    const second = authority.issue('second', 'DNS:localhost,IP:127.0.0.1')
    listener.exchange(second.certificate, second.key)
    process.kill(system.edge.pid, 'SIGHUP')
    await until(() => said(' anew') === 2, 'both shards to have it')
    for (let i = 0; i < 4; i += 1) assert.equal(await servedName(), 'second')
    const whole = await Promise.all(streams)
    assert.equal(whole.length, STREAMS)
  })

  test('files that are not sound change nothing, and the log says why', async () => {
    const third = authority.issue('third', 'DNS:localhost')
    listener.exchange(third.certificate, authority.issue('other', 'DNS:localhost').key)
    process.kill(system.edge.pid, 'SIGHUP')
    await until(() => said('goes on with what it has') === 2, 'both shards to refuse')
    assert.match(edgeLog(), /does not belong to certificate/)
    assert.equal(await servedName(), 'second')
  })

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version}: a ticket of one shard is good at the other`, async () => {
      const session = await new Promise((resolve, reject) => {
        const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.pem, maxVersion: version, minVersion: version })
        socket.on('session', ticket => { resolve(ticket); socket.destroy() })
        socket.on('error', reject)
      })
      const held = []
      const shards = new Set()
      // They stay open, and so the next goes to the shard that has fewer.
      for (let i = 0; i < 12; i += 1) {
        const socket = await connect({ session, maxVersion: version, minVersion: version })
        assert.equal(socket.isSessionReused(), true, `connection ${i}`)
        held.push(socket)
      }
      const page = await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text()
      for (const [, shard, count] of page.matchAll(/^sluice_client_connections\{[^}]*?(\d+)"[^}]*\} (\d+)/gm)) {
        if (Number(count) > 0) shards.add(shard)
      }
      held.forEach(socket => socket.destroy())
      assert.equal(shards.size, 2, page)
    })
  }
})

describe('the user that shards run as', () => {
  let system, key
  const status = pid => Object.fromEntries(readFileSync(`/proc/${pid}/status`, 'utf8').trim().split('\n').map(line => line.split(/:\s*/, 2)))

  before(async () => {
    system = await System.start({ models: ['mock-c5'], edge: false, config: { edge: `shards = 1\nuser = "${USER}"` } })
    chmodSync(system.directory, 0o755)
    // Where the tree lies, that user may not look.
    system.edgeProgram = system.file('sluice-edge')
    copyFileSync(program('sluice-edge'), system.edgeProgram)
    execFileSync('chown', ['-R', `${USER}:`, system.file('secrets')])
    // What the reconciler writes later is of this group as well.
    execFileSync('find', [system.state, '-type', 'd', '-exec', 'chmod', 'g+s', '{}', '+'])
    execFileSync('chgrp', ['-R', GROUP, system.state])
    await system.startEdge()
    key = await system.customer('low')
  })
  after(() => system?.stop())

  test('neither supervisor nor shard keeps anything of root, and both work', async () => {
    const uid = execFileSync('id', ['-u', USER], { encoding: 'utf8' }).trim()
    for (const pid of [system.edge.pid, ...system.shards()]) {
      const now = status(pid)
      assert.deepEqual(now.Uid.split(/\s+/), [uid, uid, uid, uid])
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) assert.equal(now[set], '0000000000000000', set)
      assert.equal(now.NoNewPrivs, '1')
      assert.match(readFileSync(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m)
      // The kernel gives the files of a process that may not be dumped to root.
      assert.equal(statSync(`/proc/${pid}/environ`).uid, 0)
    }
    assert.equal((await exchange(system.port, post(PATH, chat('mock-c5'), { key }))).status, 200)
  })

  test('a shard that crashes leaves no core', async () => {
    const log = () => readFileSync(system.file('edge.log'), 'utf8')
    const [old] = system.shards()
    process.kill(old, 'SIGABRT')
    await until(() => /ended \(signal 6[,)]/.test(log()), 'the crash in the log')
    assert.doesNotMatch(log(), /core dumped/)
    await until(() => system.shards().length === 1 && system.shards()[0] !== old, 'another shard')
    await until(async () => (await exchange(system.port, post(PATH, chat('mock-c5'), { key })).catch(() => ({}))).status === 200, 'an answer')
  })

  test('a user that there is not, or that may not read the secrets, is refused at once', async () => {
    await stop(system.edge)  // one edge a state directory
    const text = readFileSync(system.configFile, 'utf8')
    const starts = (from, to) => {
      const file = system.file('other.toml')
      writeFileSync(file, text.replace(from, to))
      return spawnSync(system.edgeProgram, ['--config', file], { encoding: 'utf8', timeout: 20_000 })
    }
    const nobody = starts(`user = "${USER}"`, 'user = "no-such-user"')
    assert.equal(nobody.status, 1)
    assert.match(nobody.stderr, /edge\.user: there is no user no-such-user/)
    const other = starts(`user = "${USER}"`, 'user = "daemon"')
    assert.equal(other.status, 1)
    assert.match(other.stderr, /pepper: Permission denied[^]*edge\.user: daemon cannot start the edge/)
  })
})

describe('secrets', () => {
  const CANARY = { provider: 'sk-canary-provider-7f3a91', prompt: 'canary-prompt-51c0de', answer: 'canary-answer-0be11a' }
  let system, key

  before(async () => {
    system = await System.start({ models: ['mock-c5', 'mock-e500', 'mock-c9-cut4', 'mock-c40-g5'], edge: false })
    const catalog = system.catalogToml(['mock-c5', 'mock-e500', 'mock-c9-cut4', 'mock-c40-g5'], '', {})
    await system.apply(catalog.replace(/secret = "[^"]*"/g, `secret = "${CANARY.provider}"`))
    await system.startEdge()
    key = await system.customer('canary')
  })
  after(() => system?.stop())

  /** Files below `directory` that contain `needle`. */
  function holders(directory, needle, found = []) {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name)
      const kind = lstatSync(path)
      if (kind.isDirectory()) holders(path, needle, found)
      else if (kind.isFile() && readFileSync(path).includes(needle)) found.push(path)
    }
    return found
  }

  test('keys and prompts are in no log, record, ledger or shared state, nor on a command line', { timeout: 60_000 }, async () => {
    const ask = (model, more = {}, to = key) => exchange(system.port, post(PATH, JSON.stringify({
      model, messages: [{ role: 'user', content: CANARY.prompt }], ...more }), { key: to }))
    assert.equal((await ask('mock-c5')).status, 200)
    assert.equal((await ask('mock-c40-g5', { stream: true })).status, 200)
    for (const model of ['mock-e500', 'mock-c9-cut4', 'no-such-model']) await ask(model, { stream: model !== 'mock-e500' })
    const stranger = `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`
    assert.equal((await ask('mock-c5', {}, stranger)).status, 401)
    await exchange(system.port, `POST ${PATH}?key=${key} HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n`)
    await exchange(system.port, `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nbad header\r\n\r\n`)
    // It did reach the provider: the search below would find it where it is.
    const { records } = await system.mock.recorder('?limit=100')
    assert.ok(JSON.stringify(records).includes(CANARY.provider), 'the stand-in saw the key')
    await system.usageOf('canary', 4)
    await stop(system.edge)
    writeFileSync(system.file('apply.toml'), '')  // the operator's own file has them
    const pepper = readFileSync(system.file('secrets/pepper'))
    for (const needle of [CANARY.provider, CANARY.prompt, key, key.slice(3, 30), stranger, pepper]) {
      const found = [...holders(system.directory, needle), ...holders(system.state, needle)]
        .filter(path => path !== system.file('secrets/pepper') && path !== system.file('mock.log'))
      assert.deepEqual(found, [], `${needle} is on disk`)
    }
    for (const pid of [system.reconciler.pid]) {
      for (const file of ['cmdline', 'environ']) assert.ok(!readFileSync(`/proc/${pid}/${file}`).includes(CANARY.provider))
    }
    assert.deepEqual(holders(system.directory, CANARY.provider).length, 0)
    writeFileSync(system.file('proof'), `before ${CANARY.provider} behind`)
    assert.equal(holders(system.directory, CANARY.provider).length, 1, 'the search finds what is there')
    await system.startEdge()
  })
})

test('an address has so many connections and no more; another is not concerned', async () => {
  const system = await System.start({
    models: ['mock-c5'], config: { limits: 'connections_per_address = 8' },
  })
  try {
    const key = await system.customer('crowd')
    const crowd = []
    for (let i = 0; i < 8; i += 1) crowd.push(await open(system.port))
    for (const one of crowd) one.write(post(PATH, chat('mock-c5'), { key }))
    await until(() => crowd.every(one => one.bytes.startsWith('HTTP/1.1 200')), 'all of them to be answered')
    const late = await open(system.port)
    await late.ended
    assert.equal(late.bytes, '')
    const neighbour = await open(system.port, '127.0.0.2')
    neighbour.write(post(PATH, chat('mock-c5'), { key }))
    await until(() => neighbour.bytes.startsWith('HTTP/1.1 200'), 'the neighbour to be answered')
    crowd.pop().destroy()
    await until(async () => (await exchange(system.port, post(PATH, chat('mock-c5'), { key })).catch(() => ({}))).status === 200, 'the freed place')
    const page = await (await fetch(`http://127.0.0.1:${system.metricsPort}/metrics`)).text()
    assert.match(page, /sluice_crowded_connections_total\{[^}]*\} [1-9]/)
    assert.match(readFileSync(system.file('edge.log'), 'utf8'), /127\.0\.0\.1: no more connections \(limits\.connections_per_address\)/)
    ;[...crowd, neighbour].forEach(socket => socket.destroy())
  } finally { await system.stop() }
})

describe('units', () => {
  for (const unit of ['sluice-edge.service', 'sluice-reconciler.service']) {
    test(`${unit}: systemd-analyze security says 2.0 or less`, context => {
      const run = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', join(root, 'conf/systemd', unit)], { encoding: 'utf8' })
      if (run.error?.code === 'ENOENT') return context.skip('systemd is not on this machine')
      const [exposure] = /Overall exposure level for .*: ([\d.]+)/.exec(run.stdout)?.slice(1) ?? assert.fail(run.stdout + run.stderr)
      context.diagnostic(`exposure ${exposure}`)
      assert.ok(Number(exposure) <= 2.0, run.stdout)
      assert.equal(run.status, 0, run.stdout)
    })
  }
})
