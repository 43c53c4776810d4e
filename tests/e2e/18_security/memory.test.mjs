// What a core of the edge would show: root makes one with gdb, as the kernel would write it.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import tls from 'node:tls'
import { Authority } from '../lib/certificates.mjs'
import { freePort, sleep, until } from '../lib/processes.mjs'
import { exchange, open, post } from '../lib/raw.mjs'
import { System } from '../lib/system.mjs'

const PATH = '/v1/chat/completions'
const PROVIDER = 'sk-canary-provider-7f3a91-and-so-on', PROMPT = 'canary-prompt-51c0de'

describe('a core of the edge', () => {
  let system, port, authority, keys, needles

  before(async () => {
    authority = new Authority('sluice memory')
    const own = authority.issue('edge', 'DNS:localhost,IP:127.0.0.1')
    port = await freePort()
    system = await System.start({
      models: ['mock-c5', 'mock-c40-g5'],
      config: {
        edge: 'shards = 1',
        listener: `[[edge.listener]]\naddress = "127.0.0.1:${port}"\ncertificate_file = "${own.certificate}"\nkey_file = "${own.key}"`,
      },
    })
    const catalog = system.catalogToml(['mock-c5', 'mock-c40-g5'], '', {})
    await system.apply(catalog.replace(/secret = "[^"]*"/g, `secret = "${PROVIDER}"`))
    keys = {}
    for (const name of ['bearer', 'header', 'query', 'pieces', 'secure']) keys[name] = await system.customer(name)
    keys.unknown = `sk-${'u7'.repeat(21)}v`
    const scalar = Buffer.from(createPrivateKey(readFileSync(own.key)).export({ format: 'jwk' }).d, 'base64url')
    needles = {
      provider: PROVIDER, pepper: readFileSync(system.file('secrets/pepper')),
      sealing: readFileSync(system.file('secrets/sealing.key')), certificate: scalar, prompt: PROMPT, ...keys,
    }
  })
  after(() => system?.stop())

  const body = (more = {}) => JSON.stringify({ model: 'mock-c5', messages: [{ role: 'user', content: PROMPT }], ...more })

  /** A key in every place and shape that it may come in, and each once more in a request that is refused. */
  async function traffic() {
    assert.equal((await exchange(system.port, post(PATH, body(), { key: keys.bearer }))).status, 200)
    assert.equal((await exchange(system.port, post(PATH, body({ stream: true, model: 'mock-c40-g5' }), { key: keys.bearer }))).status, 200)
    const message = JSON.stringify({ model: 'mock-c5', max_tokens: 50, messages: [{ role: 'user', content: PROMPT }] })
    assert.equal((await exchange(system.port, post('/v1/messages', message, { headers: { 'x-api-key': keys.header, 'anthropic-version': '2023-06-01' } }))).status, 200)
    const contents = JSON.stringify({ contents: [{ role: 'user', parts: [{ text: PROMPT }] }] })
    assert.equal((await exchange(system.port, post(`/v1beta/models/mock-c5:generateContent?key=${keys.query}`, contents))).status, 200)
    const slow = await open(system.port)
    const text = post(PATH, body(), { key: keys.pieces })
    const cut = text.indexOf(keys.pieces) + 20
    for (const part of [text.slice(0, cut), text.slice(cut, cut + 15), text.slice(cut + 15)]) {
      slow.write(part)
      await sleep(30)
    }
    await until(() => slow.bytes.startsWith('HTTP/1.1 200'), 'the slow head to be answered')
    slow.destroy()
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.pem })
    let answer = ''
    socket.on('data', bytes => { answer += bytes })
    socket.write(post(PATH, body(), { key: keys.secure }))
    await until(() => answer.startsWith('HTTP/1.1 200'), 'the answer over TLS')
    socket.destroy()
    assert.equal((await exchange(system.port, post(PATH, body(), { key: keys.unknown }))).status, 401)
    assert.equal((await exchange(system.port, `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${keys.bearer}\r\nbad header\r\n\r\n`)).status, 400)
    await until(async () => (await system.usage()).length >= 6, 'the usage of all')
  }

  function core(pid) {
    const file = system.file('core')
    execFileSync('gdb', ['--batch', '-nx', '-iex', 'set auto-load off', '-p', String(pid), '-ex', `gcore ${file}`], { stdio: 'pipe' })
    const bytes = readFileSync(file)
    rmSync(file)
    return bytes
  }
  const found = bytes => Object.entries(needles).filter(([, needle]) => bytes.includes(needle)).map(([name]) => name)

  test('has nothing of its memory in it', { timeout: 120_000 }, async () => {
    await traffic()
    for (const pid of [system.edge.pid, ...system.shards()]) {
      assert.equal(readFileSync(`/proc/${pid}/coredump_filter`, 'utf8').trim(), '00000000')
      const bytes = core(pid)
      assert.ok(bytes.length > 1000, 'it is a core')
      assert.deepEqual(found(bytes), [])
      assert.ok(!bytes.includes('mock-c5'))
    }
  })

  test('even if root asks for all of it: no key of a client, no provider key, no pepper, no sealing key', { timeout: 120_000 }, async context => {
    const [shard] = system.shards()
    writeFileSync(`/proc/${shard}/coredump_filter`, '0x7f')
    const bytes = core(shard)
    writeFileSync(`/proc/${shard}/coredump_filter`, '0')
    assert.ok(bytes.includes('mock-c5'), 'the search finds what is there')
    const left = found(bytes)
    context.diagnostic(`left in a whole core: ${left}; ${Math.round(bytes.length / 1048576)} MiB`)
    // The certificate's key is used in each handshake; what was asked stays where it was received until others come.
    assert.deepEqual(left.filter(name => !['certificate', 'prompt'].includes(name)), [])
  })
})
