// A client that goes away, at any phase: the provider is freed within 100 ms and the bill follows the table.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { cost, costOfRow, paid } from '../lib/price.mjs'
import { proveEarly, proveExact } from '../lib/proof.mjs'
import { monotonic, sleep, until } from '../lib/processes.mjs'
import { chat, open, post, statusOf } from '../lib/raw.mjs'
import { sdks } from '../lib/sdks.mjs'
import { System } from '../lib/system.mjs'

const FREED_NS = 100_000_000
const PATH = '/v1/chat/completions'
let system
let sink
before(async () => {
  // A provider that accepts connections and reads nothing: requests to it are never fully sent.
  sink = createServer({ pauseOnConnect: true }, socket => {
    sink.sockets.push(socket)
    socket.on('error', () => {})
  })
  sink.sockets = []
  await new Promise(done => sink.listen(0, '127.0.0.1', done))
  system = await System.start({
    models: ['mock-stall0', 'mock-hold', 'mock-l3000', 'mock-c1000-g20', 'mock-c3-stall2', 'mock-c2000-g0-s2000', 'mock-c5', 'sink'],
    routes: { sink: ['sink'] },
    channels: `
[[provider]]
name = "sink"
dialect = "openai"
base_url = "http://127.0.0.1:${sink.address().port}/v1"
[[provider.key]]
name = "main"
secret = "sk-sink"
[[channel]]
name = "sink"
provider = "sink"
`,
  })
})
after(async () => {
  for (const socket of sink?.sockets ?? []) socket.destroy()
  sink?.close()
  await system?.stop()
})

const ways = { FIN: socket => socket.end(), RST: socket => socket.resetAndDestroy() }

describe('before the request was whole', () => {
  for (const [way, leave] of Object.entries(ways)) {
    test(`inside the head or the body, by ${way}: nothing is reserved, nothing is asked`, async () => {
      const customer = `early-${way}`
      const key = await system.customer(customer)
      await system.mock.mark()
      const text = post(PATH, chat('mock-c5'), { key })
      for (const bytes of [1, 20, text.indexOf('\r\n\r\n') + 2, text.length - 1]) {
        const socket = await open(system.port)
        socket.write(text.slice(0, bytes))
        await sleep(20)
        leave(socket)
        await sleep(20)
        socket.destroy()
      }
      await sleep(100)
      assert.deepEqual(await system.mock.since(), [])
      const wallet = await system.wallet(customer)
      assert.equal(wallet.held, 0n)
      assert.equal(wallet.charged, 0n)
      await system.check()
    })
  }
})

test('before the request was fully sent upstream: void, and the connection is closed', async () => {
  const key = await system.customer('unsent', { credit: '10000' })
  const socket = await open(system.port)
  // 24 MB do not fit the socket buffers of loopback; nobody reads them.
  socket.write(post(PATH, chat('sink', { padding: 'x'.repeat(24 << 20) }), { key }))
  await until(() => sink.sockets.length === 1 || statusOf(socket.bytes), 'the gateway to connect to the sink')
  assert.equal(socket.bytes, '')
  await sleep(300)
  assert.ok((await system.wallet('unsent')).held > 0n)
  const left = monotonic()
  socket.resetAndDestroy()
  const upstream = sink.sockets[0]
  const closed = new Promise(done => upstream.on('close', done))
  upstream.resume()
  await closed
  assert.ok(monotonic() - left < 1_000_000_000)
  await until(async () => (await system.wallet('unsent')).held === 0n, 'the hold to be closed')
  assert.equal((await system.wallet('unsent')).charged, 0n)
  await system.check()
})

describe('after the request was sent', () => {
  for (const [way, leave] of Object.entries(ways)) {
    for (const [model, phase] of [['mock-stall0', 'no answer yet'], ['mock-l3000', 'a slow answer'], ['mock-hold', 'a held answer']]) {
      for (const stream of [true, false]) {
        test(`${phase}, ${stream ? 'stream' : 'whole'}, by ${way}: the prompt is charged`, async () => {
          const customer = `sent-${model}-${stream ? 's' : 'w'}-${way}`
          const key = await system.customer(customer)
          await system.mock.mark()
          const socket = await open(system.port)
          socket.write(post(PATH, chat(model, { stream }), { key }))
          await until(async () => (await system.mock.recorder('?limit=0')).open === 1, 'the provider to be asked')
          await sleep(30)
          const left = monotonic()
          leave(socket)
          const [record] = await system.mock.records(1)
          socket.destroy()
          assert.equal(record.end, 'aborted')
          assert.ok(record.gone_ns - left < FREED_NS, `freed after ${(record.gone_ns - left) / 1e6} ms`)
          const [row] = await system.usageOf(customer, 1)
          assert.equal(row.output, 0)
          assert.equal(paid(row), cost({ input: row.input_estimate, output: 0 }))
          await system.check()
        })
      }
    }

    for (const [model, chunks] of [['mock-c1000-g20', 1], ['mock-c1000-g20', 7], ['mock-c3-stall2', 2]]) {
      test(`in the stream ${model} after ${chunks} chunks, by ${way}`, async () => {
        const customer = `mid-${model}-${chunks}-${way}`
        const key = await system.customer(customer)
        await system.mock.mark()
        const socket = await open(system.port)
        socket.write(post(PATH, chat(model, { stream: true }), { key }))
        await until(() => socket.bytes.split('" word"').length > chunks, `${chunks} chunks`, 5000, 1)
        const left = monotonic()
        leave(socket)
        const [record] = await system.mock.records(1)
        socket.destroy()
        assert.equal(record.end, 'aborted')
        assert.ok(record.gone_ns - left < FREED_NS, `freed after ${(record.gone_ns - left) / 1e6} ms`)
        const [row] = await system.usageOf(customer, 1)
        proveEarly(row, record)
        assert.ok(row.output >= chunks - 1, `${row.output} tokens charged after ${chunks} chunks`)
        await system.check()
      })
    }
  }

  test('while it does not read: the provider is freed all the same', async () => {
    const key = await system.customer('slow-reader')
    await system.mock.mark()
    const socket = await open(system.port)
    socket.pause()
    socket.write(post(PATH, chat('mock-c2000-g0-s2000', { stream: true }), { key }))
    await sleep(500)
    const left = monotonic()
    socket.resetAndDestroy()
    const [record] = await system.mock.records(1)
    if (record.end === 'aborted') assert.ok(record.gone_ns - left < FREED_NS)
    const [row] = await system.usageOf('slow-reader', 1)
    assert.ok(paid(row) > 0n)
    // What is claimed in one burst can be more than the hold and its bound: then the rest is the operator's.
    assert.ok(paid(row) <= costOfRow(row))
    await system.check()
  })

  test('after the last byte: nothing changes', async () => {
    const key = await system.customer('late')
    await system.mock.mark()
    const socket = await open(system.port)
    socket.write(post(PATH, chat('mock-c5', { stream: true }), { key }))
    await until(() => socket.bytes.endsWith('0\r\n\r\n'), 'the whole answer')
    socket.resetAndDestroy()
    await proveExact(system, await system.mock.records(1), await system.usageOf('late', 1))
  })
})

for (const sdk of sdks) {
  test(`${sdk.name}: abort() of the SDK`, async () => {
    const customer = `abort-${sdk.name}`
    const key = await system.customer(customer)
    await system.mock.mark()
    const controller = new AbortController()
    let parts = 0
    let left = 0
    try {
      for await (const _ of sdk.connect(system.url, key).stream('mock-c1000-g20', { signal: controller.signal })) {
        parts += 1
        if (parts === 5) {
          left = monotonic()
          controller.abort()
        }
      }
    } catch { /* some SDKs throw, some end */ }
    const [record] = await system.mock.records(1)
    assert.equal(record.end, 'aborted')
    assert.ok(record.gone_ns - left < FREED_NS, `freed after ${(record.gone_ns - left) / 1e6} ms`)
    const [row] = await system.usageOf(customer, 1)
    proveEarly(row, record)
    await system.check()
  })
}
